"""Many calls that travel together: which have arrived, and which go again. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from publisher.core.requests import Call


class Batch:
    """Calls in order. Everything behind the first failure goes again, marked, so that the order stays."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self.pending = list(calls)
        self.replies: list[Any] = []

    def take(self, results: Sequence[Any]) -> Exception | None:
        """Take in one round's results; return the first error among them, or None when all have arrived."""
        good = next((n for n, result in enumerate(results) if isinstance(result, Exception)), len(results))
        self.replies += results[:good]
        error = results[good] if good < len(results) else None
        self.pending = [call.again() for call in self.pending[good:]]
        return error

    def lost(self) -> None:
        """The round brought no results at all; any of its calls may have arrived."""
        self.pending = [call.again() for call in self.pending]

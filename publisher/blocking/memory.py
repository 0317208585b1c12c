"""A transport without Redis: what the fake publishers of ``publisher.testing`` send through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from publisher.core.memory import MemoryStore
from publisher.core.requests import Call, Request


class MemoryTransport:
    """A transport without Redis, for blocking publishers."""

    def __init__(self, store: MemoryStore) -> None:
        self.where, self.cluster, self.db = "memory", False, 0
        self.renews = True
        self._store = store

    def execute(self, request: Request) -> Any:
        return self._store.execute(request)

    def batch(self, calls: Sequence[Call]) -> list[Any]:
        return [self._store.execute(call) for call in calls]

    def repair(self, error: BaseException) -> None:
        """Nothing can break."""

    def close(self) -> None:
        """Nothing to close."""

    def after_fork(self) -> None:
        """A child has a copy."""

    def twin(self) -> None:
        """Nothing runs out."""
        return None

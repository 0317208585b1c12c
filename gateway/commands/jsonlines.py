"""Numbered lines from a stream of bytes, none longer than a limit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


class NumberedLine(NamedTuple):
    """A line without its end; ``text`` is None for one that is too long."""

    number: int
    text: bytes | None


class LineSplitter:
    """Feed it whatever arrives. A line longer than ``limit`` bytes is not kept, only counted."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._number = 0

    def feed(self, data: bytes) -> Iterator[NumberedLine]:
        """The lines that are complete now."""
        *complete, rest = data.split(b"\n")
        for part in complete:
            self._keep(part)
            yield self._line()
        self._keep(rest)

    def rest(self) -> Iterator[NumberedLine]:
        """The last line, where the stream ended without a line break."""
        if self._size:
            yield self._line()

    def _keep(self, part: bytes) -> None:
        self._size += len(part)
        if self._size <= self._limit:
            self._parts.append(part)
        else:
            self._parts.clear()

    def _line(self) -> NumberedLine:
        self._number += 1
        text = b"".join(self._parts).strip() if self._size <= self._limit else None
        self._parts.clear()
        self._size = 0
        return NumberedLine(self._number, text)

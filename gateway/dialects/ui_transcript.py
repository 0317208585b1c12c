"""A message as it is told to who comes fresh: whole, with neighbouring pieces joined. Encoded once, and grown by what
is encoded for the viewers anyway. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_DELTA: Final = re.compile(rb'data: \{"type":"(?:text|reasoning)-delta","id":"[0-9]+","delta":"')
_TAIL: Final = b'"}\n\n'


class Transcript:
    """Complete events, the pieces of a text in one."""

    __slots__ = ("_events", "_head", "_pieces", "_whole")

    def __init__(self, events: Iterable[bytes] = ()) -> None:
        self._events: list[bytes] = []
        self._head = b""
        """How the event of the text that goes on begins; empty where none does."""
        self._pieces: list[bytes] = []
        self._whole: tuple[bytes, ...] | None = None
        self.add(events)

    def add(self, events: Iterable[bytes]) -> None:
        """What has been told now."""
        for event in events:
            self._whole = None
            found = _DELTA.match(event)
            head = found[0] if found else b""
            if head != self._head:
                self._close()
                self._head = head
            if head:
                self._pieces.append(event[len(head) : -len(_TAIL)])  # JSON's text of a whole is that of its pieces
            else:
                self._events.append(event)

    def whole(self) -> tuple[bytes, ...]:
        """All of it; the same object until something is added."""
        if self._whole is None:
            self._whole = (*self._events, *self._open())
        return self._whole

    def _open(self) -> list[bytes]:
        if not self._head:
            return []
        self._pieces = [b"".join(self._pieces)]
        return [self._head + self._pieces[0] + _TAIL]

    def _close(self) -> None:
        self._events += self._open()
        self._pieces = []
        self._head = b""

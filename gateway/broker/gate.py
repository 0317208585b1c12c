"""Holds back what Redis brings while the node may have missed whom to send away. No I/O."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

Messages = list[tuple[str, bytes]]

MAX_HELD_BYTES: Final = 32 * 1024 * 1024


class Gate:
    """Closed by a doubt, opened when the orders were read since.

    ``deliver`` gets what pub/sub brings, now or when the gate opens; ``missed`` is called then where more had come than
    is held. What is read from histories waits in :meth:`passed`. Reads travel on connections of their own: when only
    those were cut, what pub/sub brings is in order, and goes on.
    """

    def __init__(
        self,
        deliver: Callable[[Messages], None] = lambda messages: None,
        missed: Callable[[], None] = lambda: None,
        *,
        max_held_bytes: int = MAX_HELD_BYTES,
    ) -> None:
        self._deliver = deliver
        self._missed = missed
        self._max = max_held_bytes
        self._held: Messages = []
        self._bytes = 0
        self._live = False
        self._reads = asyncio.Event()
        self.doubts = 0
        self.due = asyncio.Event()
        """Set when the orders have to be read."""

    def doubt(self) -> None:
        """Orders may have been missed: hold everything back."""
        self._live = False
        self.doubts += 1
        self._reads.clear()
        self.due.set()

    def doubt_reads(self) -> None:
        """A read failed: the next one may overtake an order that pub/sub still holds."""
        if self._reads.is_set():
            self.doubts += 1
            self._reads.clear()
            self.due.set()

    def open(self, doubts: int) -> None:
        """The orders were read, beginning when there had been so many doubts; nothing if there are more by now."""
        if doubts != self.doubts:
            return
        held, self._held = self._held, []
        overflowed, self._bytes, self._live = self._bytes > self._max, 0, True
        self._reads.set()
        if overflowed:
            self._missed()
        elif held:
            self._deliver(held)

    def receive(self, messages: Messages) -> None:
        """What one read of pub/sub brought."""
        if self._live:
            self._deliver(messages)
            return
        self._bytes += sum(len(message) for _, message in messages)
        if self._bytes > self._max:
            self._held = []
        else:
            self._held += messages

    @property
    def is_open(self) -> bool:
        """Whether what was read may be delivered."""
        return self._reads.is_set()

    async def passed(self) -> None:
        """Return when the gate is open. The caller bounds the wait."""
        await self._reads.wait()

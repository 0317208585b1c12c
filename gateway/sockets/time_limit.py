"""One time limit for many: a timer for each of them would cost a new connection more than all it remembers. No I/O."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Protocol


class Limited(Protocol):
    """What is to be done within a time."""

    def on_late(self) -> None:
        """It was not."""


class TimeLimit:
    """Of so many ``seconds`` from :meth:`begin` to :meth:`end`. As it is the same for all, who began first is late
    first, and one timer does for everybody."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._loop = loop
        self._seconds = seconds
        self._due: OrderedDict[Limited, float] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, who: Limited) -> None:
        """Nothing for one that has begun already."""
        if who not in self._due:
            self._due[who] = self._loop.time() + self._seconds
            if self._timer is None:
                self._timer = self._loop.call_later(self._seconds, self._look)

    def end(self, who: Limited) -> None:
        """In time. May be called twice, and without a beginning."""
        self._due.pop(who, None)

    def _look(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._due:
            who, due = next(iter(self._due.items()))
            if due > now:
                self._timer = self._loop.call_at(due, self._look)
                return
            del self._due[who]
            who.on_late()

"""The timers that send what job handles let wait for the end of an interval."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Final, Protocol

MOMENT_S: Final = 0.005
"""Handles whose times lie this close send together."""


class DelayedHandle(Protocol):
    """A handle with progress that waits."""

    async def send_waiting(self) -> None:
        """Send it now. Raises nothing."""


class AsyncLater:
    """One timer for each moment, not for each handle: what many send at once shares calls of Redis."""

    def __init__(self) -> None:
        self._moments: dict[DelayedHandle, int] = {}
        self._waiting: dict[int, list[DelayedHandle]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def at(self, when: float, handle: DelayedHandle) -> None:
        """Have a handle send what waits at a time (monotonic), or up to ``MOMENT_S`` before."""
        moment = math.floor(when / MOMENT_S)
        if self._moments.get(handle) == moment:
            return
        self._moments[handle] = moment
        together = self._waiting.get(moment)
        if together is None:
            together = self._waiting[moment] = []
            delay_s = max(0.0, moment * MOMENT_S - time.monotonic())
            asyncio.get_running_loop().call_later(delay_s, self._ring, moment)
        together.append(handle)

    def soon(self, handle: DelayedHandle) -> None:
        """Have a handle send what waits at the loop's next turn."""
        self._moments.pop(handle, None)
        self._send(handle)

    def move(self) -> None:
        """Let the handles' time be up in the running loop: the old one's timers will not ring."""
        waiting, self._moments, self._waiting, self._tasks = list(self._moments), {}, {}, set()
        for handle in waiting:
            self.at(time.monotonic(), handle)

    def _ring(self, moment: int) -> None:
        for handle in self._waiting.pop(moment, ()):
            if self._moments.get(handle) == moment:  # it was not sent before, nor put off
                del self._moments[handle]
                self._send(handle)

    def _send(self, handle: DelayedHandle) -> None:
        task = asyncio.create_task(handle.send_waiting(), name="sse-publisher-progress")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def flush(self) -> None:
        """Have all of them send it now."""
        waiting, self._moments = self._moments, {}
        for handle in waiting:
            await handle.send_waiting()
        if self._tasks:
            await asyncio.wait(list(self._tasks))

"""The timers that send what job handles let wait for the end of an interval."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class DelayedHandle(Protocol):
    """A handle with progress that waits."""

    async def send_waiting(self) -> None:
        """Send it now. Raises nothing."""


class AsyncLater:
    """One timer for each handle that has something waiting."""

    def __init__(self) -> None:
        self._timers: dict[DelayedHandle, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def at(self, when: float, handle: DelayedHandle) -> None:
        """Have a handle send what waits at a time (monotonic)."""
        loop = asyncio.get_running_loop()
        earlier = self._timers.pop(handle, None)
        if earlier is not None:
            earlier.cancel()
        self._timers[handle] = loop.call_later(max(0.0, when - time.monotonic()), self._now, handle)

    def soon(self, handle: DelayedHandle) -> None:
        """Have a handle send what waits at the loop's next turn."""
        earlier = self._timers.pop(handle, None)
        if earlier is not None:
            earlier.cancel()
        self._now(handle)

    def move(self) -> None:
        """Let the handles' time be up in the running loop: the old one's timers will not ring."""
        waiting, self._timers, self._tasks = list(self._timers), {}, set()
        for handle in waiting:
            self.at(time.monotonic(), handle)

    def _now(self, handle: DelayedHandle) -> None:
        self._timers.pop(handle, None)
        task = asyncio.create_task(handle.send_waiting(), name="sse-publisher-progress")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def flush(self) -> None:
        """Have all of them send it now."""
        waiting, self._timers = self._timers, {}
        for timer in waiting.values():
            timer.cancel()
        for handle in waiting:
            await handle.send_waiting()
        if self._tasks:
            await asyncio.wait(list(self._tasks))

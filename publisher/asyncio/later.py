"""The timers that send what job handles let wait for the end of an interval."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Coroutine, Sequence
from contextvars import Context
from typing import Any, Final, Generic, Protocol, TypeVar

H = TypeVar("H")

MOMENT_S: Final = 0.005
"""Handles whose times lie this close send together."""


def after_cancel_s() -> float:
    """How long to wait before a task begins. Who is being cancelled may be so because the loop ends, which would
    destroy a task that begins now. Raises ``RuntimeError`` where no loop runs."""
    caller = asyncio.current_task()
    return 0.01 if caller is not None and caller.cancelling() else 0.0


class DelayedHandle(Protocol):
    """A handle with progress that waits."""

    async def send_waiting(self) -> None:
        """Send it now. Raises nothing."""


async def send_each(handles: Sequence[DelayedHandle]) -> None:
    """Have each of several send by itself."""
    await asyncio.gather(*[handle.send_waiting() for handle in handles])


class AsyncLater(Generic[H]):
    """One timer for each moment, not for each handle: what many send at once shares calls of Redis."""

    def __init__(self, send: Callable[[list[H]], Coroutine[Any, Any, None]]) -> None:
        """``send`` lets handles send what waits in them, and raises nothing."""
        self._send = send
        self._moments: dict[H, int] = {}
        self._waiting: dict[int, list[H]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def at(self, when: float, handle: H) -> None:
        """Have a handle send what waits at a time (monotonic), or up to ``MOMENT_S`` before."""
        moment = math.floor(when / MOMENT_S)
        if self._moments.get(handle) == moment:
            return
        self._moments[handle] = moment
        together = self._waiting.get(moment)
        if together is None:
            try:
                loop, least_s = asyncio.get_running_loop(), after_cancel_s()
            except RuntimeError:
                return  # it is closed, and what was under way is cleared away: move() finds what waits
            together = self._waiting[moment] = []
            delay_s = max(least_s, moment * MOMENT_S - time.monotonic())
            loop.call_later(delay_s, self._ring, moment, context=Context())
        together.append(handle)

    def soon(self, handle: H) -> None:
        """Have a handle send what waits at the loop's next turn."""
        self._moments.pop(handle, None)
        self._begin([handle])

    def move(self) -> None:
        """Let the handles' time be up in the running loop: the old one's timers will not ring."""
        waiting, self._moments, self._waiting, self._tasks = list(self._moments), {}, {}, set()
        for handle in waiting:
            self.at(time.monotonic(), handle)

    def _ring(self, moment: int) -> None:
        due: list[H] = []
        for handle in self._waiting.pop(moment, ()):
            if self._moments.get(handle) == moment:  # it was not sent before, nor put off
                del self._moments[handle]
                due.append(handle)
        if due:
            self._begin(due)

    def _begin(self, handles: list[H]) -> None:
        task = asyncio.create_task(self._send(handles), name="sse-publisher-waiting")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def flush(self) -> None:
        """Have all of them send it now."""
        waiting, self._moments = list(self._moments), {}
        if waiting:
            self._begin(waiting)
        if self._tasks:
            await asyncio.wait(list(self._tasks))

"""The timers that send what job handles let wait for the end of an interval."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Coroutine, Sequence
from contextvars import Context, copy_context
from typing import Any, Final, Generic, Protocol, TypeVar

H = TypeVar("H")

MOMENT_S: Final = 0.005
"""Handles whose times lie this close send together."""


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
        self._contexts: dict[H, Context] = {}
        self._waiting: dict[int, list[H]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def at(self, when: float, handle: H, context: Context | None = None) -> None:
        """Have a handle send what waits at a time (monotonic), or up to ``MOMENT_S`` before; in a ``context`` of its
        own, if it has one, and then by itself."""
        moment = math.floor(when / MOMENT_S)
        if self._moments.get(handle) == moment:
            return
        self._moments[handle] = moment
        if context is not None:
            self._contexts[handle] = context
        together = self._waiting.get(moment)
        if together is None:
            together = self._waiting[moment] = []
            delay_s = max(0.0, moment * MOMENT_S - time.monotonic())
            asyncio.get_running_loop().call_later(delay_s, self._ring, moment)
        together.append(handle)

    def soon(self, handle: H) -> None:
        """Have a handle send what waits at the loop's next turn."""
        self._moments.pop(handle, None)
        self._contexts.pop(handle, None)
        self._begin([handle], copy_context())

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
        self._send_waiting(due)

    def _send_waiting(self, handles: list[H]) -> None:
        if self._contexts:
            for handle in handles:
                if handle in self._contexts:
                    self._begin([handle], self._contexts[handle])
            handles = [handle for handle in handles if self._contexts.pop(handle, None) is None]
        if handles:
            self._begin(handles, Context())  # not that of the one whose timer it was

    def _begin(self, handles: list[H], context: Context) -> None:
        task = asyncio.create_task(self._send(handles), name="sse-publisher-waiting", context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def flush(self) -> None:
        """Have all of them send it now."""
        waiting, self._moments = list(self._moments), {}
        self._send_waiting(waiting)
        if self._tasks:
            await asyncio.wait(list(self._tasks))

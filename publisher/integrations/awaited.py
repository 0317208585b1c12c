"""What ``current_job()`` is in a coroutine, in workers that are threads or processes and run one now and then."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Any, Final, Self, TypeVar

from publisher.blocking.job_handle import JobHandle
from publisher.core.handle import expected
from publisher.iteration import each

T = TypeVar("T")

_AWAITED: Final = frozenset(
    ("progress", "item", "log", "emit", "complete", "fail", "retrying", "raise_if_cancelled", "wait_if_paused")
)


class AwaitedJob:
    """A blocking handle with the calls of :class:`AsyncJobHandle`; each waits in a thread, and not the event loop.

    A real one needs a publisher in the function's own loop, which is made after the job has begun and is gone before it
    ends: what that still kept for an absent Redis would come behind the job's end, or never.
    """

    def __init__(self, job: JobHandle) -> None:
        self._job = job

    def __repr__(self) -> str:
        return repr(self._job)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._job, name)
        return functools.partial(asyncio.to_thread, found) if name in _AWAITED else found

    @contextlib.asynccontextmanager
    async def stage(self, name: str) -> AsyncIterator[Self]:
        stage = self._job.stage(name)
        await asyncio.to_thread(stage.__enter__)
        try:
            yield self
        except BaseException as error:
            stage.__exit__(type(error), error, error.__traceback__)  # raises it, and waits for nothing
        else:
            await asyncio.to_thread(stage.__exit__, None, None, None)

    async def track(self, iterable: Iterable[T] | AsyncIterable[T], *, total: float | None = None) -> AsyncIterator[T]:
        at_hand: list[T] = []

        def one_after_another() -> Iterator[T]:
            while at_hand:
                yield at_hand.pop()

        tracked = self._job.track(one_after_another(), total=expected(iterable, total))
        async for item in each(iterable):
            at_hand.append(item)
            yield await asyncio.to_thread(next, tracked)
        await asyncio.to_thread(next, tracked, None)


def shown_to(function: Any, job: JobHandle) -> Any:
    """The handle as the code of this function has it."""
    return AwaitedJob(job) if inspect.iscoroutinefunction(inspect.unwrap(function)) else job

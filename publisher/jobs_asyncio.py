"""The asyncio job handle: what a coroutine holds while it works."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Generator, Iterable
from types import TracebackType
from typing import Any, Self, TypeVar

from publisher import reports, steps
from publisher.calls import Step
from publisher.exceptions import PublisherError
from publisher.handle import Handle, Throttle, expected
from publisher.options import Options
from publisher.post_asyncio import AsyncPost
from publisher.record import Entry

T = TypeVar("T")


class AsyncJobHandle(Handle):
    """One job, seen by its worker. ``async with publisher.job(…) as job:`` starts it, completes it at a normal exit,
    and fails it with the message of an exception, which goes on; :class:`JobCancelled` goes on without failing it.
    ``job = await publisher.job(…)`` starts it and leaves the end to the caller.

    After a call returns, its event is in Redis; during an outage events wait in memory, in order, and the call
    returns at once. Bad arguments raise ``ValueError``; calls after the end that this handle gave the job raise
    :class:`JobFinished`; events after an end that somebody else gave it are dropped quietly.
    """

    def __init__(self, options: Options, birth: Step, post: AsyncPost) -> None:
        super().__init__(options, birth)
        self._post = post
        self._lock = asyncio.Lock()

    def __await__(self) -> Generator[Any, None, Self]:
        return self._start().__await__()

    async def _start(self) -> Self:
        with self._tracing.span(self._channel) as self._birth.traceparent:
            await self._post.report(self._record, self._birth)
        error = self._record.error()
        if error is not None:
            raise error
        return self

    async def __aenter__(self) -> Self:
        return await self._start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        end = self._end_of(error)
        if end is not None:
            try:
                await self._send(end)
            except PublisherError as trouble:
                # The exception that ended the block matters more than the news of it.
                if error is None:
                    raise
                reports.log.error("The failure of job %s could not be reported: %s", self.job_id, trouble)
        await self._post.settle(self._record)

    async def progress(
        self,
        value: float | None = None,
        *,
        message: str | None = None,
        stage: str | None = None,
        current: float | None = None,
        total: float | None = None,
    ) -> None:
        """Say how far the job is: ``value`` from 0 to 100; what is left out stays as it was."""
        await self._send(
            steps.progress(
                self._options,
                self.job_id,
                self.owner,
                value,
                message=message,
                stage=stage,
                current=current,
                total=total,
            )
        )

    async def item(
        self,
        item_id: str,
        *,
        filename: str | None = None,
        status: str | None = None,
        progress: float | None = None,
        message: str | None = None,
    ) -> None:
        """Say how far one of the job's files is; what is left out stays as it was."""
        await self._send(
            steps.item(
                self._options,
                self.job_id,
                self.owner,
                item_id,
                filename=filename,
                status=status,
                progress=progress,
                message=message,
            )
        )

    async def emit(self, type: str, data: Any) -> None:
        """Send an event of the worker's own type on the job's channel."""
        await self._send(steps.emit(self._options, self.job_id, type, data))

    async def complete(self, result: Any = None) -> None:
        """End the job well, with a JSON value as its result."""
        await self._send(steps.complete(self._options, self.job_id, self.owner, result))

    async def fail(self, message: str, *, code: str | None = None, details: Any = None) -> None:
        """End the job badly, with a sentence for its owner."""
        await self._send(steps.fail(self._options, self.job_id, self.owner, message, code, details))

    async def track(self, iterable: Iterable[T] | AsyncIterable[T], *, total: float | None = None) -> AsyncIterator[T]:
        """``async for``: pass items on and report progress after each, at most 10 times a second, and always after the
        last."""
        total = expected(iterable, total)
        throttle = Throttle()
        done, reported = 0, 0
        async for item in _any(iterable):
            yield item
            done += 1
            if throttle.due():
                reported = done
                await self._send(self._fraction(done, total))
        if reported != done:
            await self._send(self._fraction(done, total))

    async def raise_if_cancelled(self) -> None:
        """Raise :class:`JobCancelled` where the job has been cancelled. Asks Redis at most once a second; while
        Redis is away it knows only what it was told before."""
        if not self._record.deaf and self._may_look():
            worked, status = await self._post.look(self.job_id)
            if worked:
                self._looked(status)
            else:
                self._look_failed()
        self._raise_if_cancelled()

    async def _send(self, entry: Entry) -> None:
        async with self._lock:
            if self._admit(entry):
                with self._tracing.span(self._channel) as entry.traceparent:
                    await self._post.report(self._record, entry)


async def _any(iterable: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    if isinstance(iterable, AsyncIterable):
        async for item in iterable:
            yield item
    else:
        for item in iterable:
            yield item

"""The asyncio job handle: what a coroutine holds while it works."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Generator, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from publisher.asyncio.later import MOMENT_S
from publisher.core import reports, steps
from publisher.core.given import ItemFields, JobOptions, LogLevel, ProgressFields
from publisher.core.handle import PAUSE_LOOK_S, Handle, Throttle, expected
from publisher.core.options import Options
from publisher.core.record import Entry
from publisher.core.step import Step
from publisher.exceptions import BufferFull, PublisherError
from publisher.iteration import each

if TYPE_CHECKING:
    from publisher.asyncio.sender import AsyncSender

T = TypeVar("T")


class AsyncJobHandle(Handle):
    """One job, seen by its worker. ``async with publisher.job(…) as job:`` starts it, completes it at a normal exit,
    and fails it with the message of an exception, which goes on; :class:`JobCancelled` goes on without failing it.
    ``job = await publisher.job(…)`` starts it and leaves the end to the caller.

    After a call returns, its event is in Redis; during an outage events wait in memory, in order, and the call
    returns at once. Bad arguments raise ``ValueError``; calls after the end that this handle gave the job raise
    :class:`JobFinished`; events after an end that somebody else gave it are dropped quietly.
    """

    def __init__(self, options: Options, birth: Step, held: JobOptions, sender: AsyncSender) -> None:
        super().__init__(options, birth, held, renews=sender.renews)
        self._sender = sender
        self._lock = asyncio.Lock()
        self._moves = 0

    def __await__(self) -> Generator[Any, None, Self]:
        return self._start().__await__()

    async def _start(self) -> Self:
        try:
            with self._tracing.span(self._channel) as self._birth.traceparent:
                await self._sender.report(self._record, self._birth)
        except Exception:
            raise
        except BaseException as interruption:
            self._not_born(interruption)
            raise
        error = self._record.error()
        if error is not None:
            raise error
        self._sender.hold(self._record)
        return self

    async def __aenter__(self) -> Self:
        return await self._start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        end = self._end_of(error)
        try:
            if end is not None:
                await self._send(end)
        except PublisherError as trouble:
            # The exception that ended the block matters more than the news of it.
            if error is None:
                raise
            reports.log.error("The failure of job %s could not be reported: %s", self.job_id, trouble)
        except asyncio.CancelledError:
            if end is not None and not end.tried:
                self._sender.finish(self._send(end))  # it was still waiting for its turn, and gets it
            raise
        finally:
            self._sender.release(self._record)
        await self._sender.settle(self._record)

    def _not_born(self, interruption: BaseException) -> None:
        """Nobody will enter this job: what may have begun of it is ended."""
        end = self._end_of(interruption)
        if end is not None:
            self._record.note(end)
            self._sender.keep(self._record, end)

    async def progress(self, value: float | None = None, **fields: Unpack[ProgressFields]) -> None:
        """Say how far the job is: ``value`` from 0 to 100, ``message``, ``stage``, ``current``, ``total``; what is left
        out stays as it was."""
        await self._send_progress(self._progress(value, fields))
        self._heed()

    async def item(self, item_id: str, **fields: Unpack[ItemFields]) -> None:
        """Say how far one of the job's files is: ``filename``, ``status``, ``progress``, ``message``; what is left out
        stays as it was."""
        await self._send(steps.item(self._options, self.job_id, self.owner, item_id, **fields))

    @contextlib.asynccontextmanager
    async def stage(self, name: str) -> AsyncIterator[Self]:
        """Work inside is this stage's: ``progress()`` and ``track()`` count from 0 to 100 for it alone, and fill its
        share of the :meth:`plan`. Stages may be nested; the job's own progress never falls."""
        begin = self._entered(name)
        try:
            await self._send_progress(begin)
            yield self
        except BaseException:
            self._stages.abandon()
            raise
        end = self._left()
        if end is not None:
            await self._send_progress(end)

    async def log(self, text: str, *, level: LogLevel = "info") -> None:
        """Show a line of text to whoever watches the job; ``level`` is debug, info, warning or error."""
        await self._send(steps.log(self._options, self.job_id, text, level))

    async def retrying(self, message: str) -> None:
        """Leave the job without ending it: it is pending again, its next attempt begins with ``job(job_id)``."""
        await self._send(steps.retrying(self._options, self.job_id, self.owner, message))

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
        async for item in each(iterable):
            yield item
            done += 1
            if throttle.due():
                reported = done
                await self._send_progress(self._fraction(done, total))
                if self._record.paused:
                    await self.wait_if_paused()
        if reported != done:
            await self._send_progress(self._fraction(done, total))

    async def raise_if_cancelled(self) -> None:
        """Raise :class:`JobCancelled` where the job has been cancelled. Asks Redis at most once a second; while
        Redis is away it knows only what it was told before."""
        if not self._record.deaf and self._may_look() and not await self._sender.look(self._record):
            self._look_failed()
        self._raise_if_cancelled()

    async def wait_if_paused(self) -> None:
        """Wait while the job is paused; :meth:`track` does so by itself. Raises :class:`JobCancelled` where the job
        is cancelled meanwhile."""
        await self.raise_if_cancelled()
        while self._record.paused and not self._record.deaf:
            await asyncio.sleep(PAUSE_LOOK_S)
            await self._sender.look(self._record)
            self._raise_if_cancelled()

    def _turn(self) -> asyncio.Lock:
        """What keeps the reports of this job in order; a lock belongs to one event loop."""
        return self._turn_after(self._sender.at_home())

    def _turn_after(self, moves: int) -> asyncio.Lock:
        if moves != self._moves:
            self._moves, self._lock = moves, asyncio.Lock()
        return self._lock

    async def _send(self, entry: Entry) -> None:
        with self._sender.under_way():
            async with self._turn():
                if isinstance(entry, Step) and entry.op == "retry" and (waiting := self._waiting()) is not None:
                    with contextlib.suppress(BufferFull):  # there is always room for a job's last word
                        await self._report(waiting)
                await self._report(entry)

    async def _send_progress(self, step: Step) -> None:
        with self._sender.under_way():
            try:
                async with self._turn():
                    due = self._merged(step)
                    if due is not None:
                        with self._put_back(due):
                            await self._report(due)
            finally:
                self._wait_on()

    def _wait_on(self) -> None:
        """What waits goes out at its moment, whatever has become of the calls before it."""
        if self._merge.waits and not (self._record.ended or self._record.deaf):
            self._sender.later.at(self._merge.open_at + MOMENT_S, self)

    async def send_waiting(self) -> None:
        """Send the progress that waits for the end of its interval, if any does. For the publisher itself."""
        try:
            async with self._turn():
                step = self._waiting()
                if step is not None:
                    with self._put_back(step):
                        await self._report(step)
        except BufferFull:
            pass  # it waits on
        except PublisherError as trouble:
            reports.log.error("Progress of job %s could not be reported: %s", self.job_id, trouble)
        finally:
            self._wait_on()

    async def _report(self, entry: Entry) -> None:
        if self._admit(entry):
            with self._span(entry) as entry.traceparent:
                await self._sender.report(self._record, entry)

"""The background task that brings waiting events to Redis, in order, for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, TypeVar

from publisher import flows, reports, retry
from publisher.flows import Flow
from publisher.options import Options
from publisher.outbox import Outbox, Waiting
from publisher.record import Entry, JobRecord
from publisher.retry import Fault
from publisher.transport import AsyncTransport

T = TypeVar("T")


async def drive(flow: Flow[T], execute: Any) -> T:
    """Run a flow to its end with an ``async execute(request)``."""
    try:
        request = next(flow)
        while True:
            request = flow.send(await execute(request))
    except StopIteration as end:
        result: T = end.value
        return result


class AsyncFlusher:
    """An outbox and the task that empties it. The task lives only as long as something waits."""

    def __init__(self, options: Options, transport: AsyncTransport) -> None:
        self._options = options
        self._transport = transport
        self._outbox = Outbox(options.buffer_events, options.buffer_bytes)
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing waits, so that an event may go straight to Redis."""
        return not len(self._outbox)

    def __len__(self) -> int:
        return len(self._outbox)

    def add(self, entries: Sequence[Entry], record: JobRecord | None = None) -> None:
        """Let entries wait for their turn, all of them or none. Raises :class:`BufferFull`."""
        if len(entries) > 1:
            self._outbox.check_room(entries)
        for entry in entries:
            self._outbox.offer(entry, record)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="sse-publisher")

    async def wait(self, timeout_s: float, record: JobRecord | None = None) -> bool:
        """Wait until nothing waits any more, of this job or at all; False where that took too long."""
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait_for(lambda: not self._waits(record))
        except TimeoutError:
            return False
        return True

    def _waits(self, record: JobRecord | None) -> bool:
        return self._outbox.waits(record) if record is not None else len(self._outbox) > 0

    async def stop(self) -> None:
        """End the task, whatever still waits."""
        task, self._task = self._task, None
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        attempt, away = 0, False
        while (waiting := self._outbox.head()) is not None:
            error = await self._send(waiting)
            if error is None:
                attempt = 0
                self._outbox.landed()
                async with self._changed:
                    self._changed.notify_all()
                continue
            self._outbox.grounded()
            attempt += 1
            if not away:
                away = True
                reports.outage(self._transport.where, error)
            await asyncio.sleep(retry.backoff_s(attempt))
        if away:
            reports.recovered(self._transport.where)

    async def _send(self, waiting: Waiting) -> BaseException | None:
        """Deliver one entry; return the error where it has to be tried again."""
        entry, record = waiting.entry, waiting.record
        if record is not None and record.deaf:
            return None
        try:
            answer = await drive(flows.deliver(self._options, record, entry), self._transport.execute)
        except retry.ERRORS as error:
            await self._transport.repair(error)
            if retry.fault(error) is not Fault.BROKEN:
                return error
            reports.given_up(entry, self._transport.where, error)
            return None
        reports.settle(entry, record, answer)
        return None

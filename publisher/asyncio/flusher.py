"""The background task that brings waiting events to Redis, in order, for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from publisher.asyncio.driver import drive, perform
from publisher.asyncio.later import after_cancel_s
from publisher.asyncio.transport import AsyncTransport
from publisher.core.options import Options
from publisher.core.outage import Outage
from publisher.core.outbox import MemoryOutbox
from publisher.core.record import Entry, JobRecord
from publisher.core.requests import Effect
from publisher.redis.buffered import bring


class AsyncFlusher:
    """An outbox and the task that empties it. The task lives only as long as something waits."""

    def __init__(self, options: Options, transport: AsyncTransport) -> None:
        self._options = options
        self._transport = transport
        self._outbox = MemoryOutbox(options.buffer_events, options.buffer_bytes)
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
        self._work()

    def move(self) -> None:
        """Go on in the running loop with what waits; the task that was at it is gone with the old one."""
        self._changed = asyncio.Condition()
        self._task = None
        self._outbox.grounded()
        if not self.idle:
            self._work()

    def _work(self) -> None:
        if self._task is not None and not self._task.done():
            return
        try:
            loop, delay_s = asyncio.get_running_loop(), after_cancel_s()
        except RuntimeError:
            return  # it is closed, and what was under way is cleared away: move() finds what waits
        if delay_s:
            loop.call_later(delay_s, self._work)
        else:
            self._task = loop.create_task(self._run(), name="sse-publisher")

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
        outage = Outage(self._transport.where)
        while (waiting := self._outbox.head()) is not None:
            # The entry stays in the outbox, marked as in flight: `idle` is false, so nothing overtakes it meanwhile,
            # and nothing is merged into it.
            error = await drive(bring(self._options, self._transport.where, waiting), self._perform)
            if error is not None:
                self._outbox.grounded()
                await asyncio.sleep(outage.failed(error))
                continue
            outage.worked()
            self._outbox.landed()
            async with self._changed:
                self._changed.notify_all()
        # No await from finding the outbox empty to the end: `add` would see a task that is not done and leave its entry
        # to it for ever.
        outage.over()

    async def _perform(self, effect: Effect) -> Any:
        return await perform(self._transport, effect)

"""Brings what a publisher and its handles say to Redis; the calling task waits."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar
from weakref import WeakSet

from publisher.asyncio.batcher import Batcher
from publisher.asyncio.driver import drive, perform
from publisher.asyncio.flights import GatheringHandle, land, take_off
from publisher.asyncio.flusher import AsyncFlusher
from publisher.asyncio.home import Home
from publisher.asyncio.lane import AsyncLane
from publisher.asyncio.later import AsyncLater, send_each
from publisher.asyncio.transport import AsyncTransport
from publisher.core import replies, reports, requests
from publisher.core.drafts import Draft
from publisher.core.open_jobs import OpenJobs
from publisher.core.options import DIRECT_S, Options
from publisher.core.perform import Effects, Flow
from publisher.core.record import Entry, JobRecord
from publisher.core.replies import Receipt
from publisher.core.requests import Call, Effect, Request
from publisher.core.scripts import ScriptName
from publisher.redis import errors
from publisher.redis.buffered import Buffered
from publisher.redis.direct import Direct
from publisher.redis.renewals import Renewals

T = TypeVar("T")


class AsyncSender:
    """A transport, the flusher of what waits for it, and the two ways that events may take. Direct calls travel
    together: the batcher sends them and tries them again."""

    def __init__(self, options: Options, transport: AsyncTransport) -> None:
        self._options = options
        self.where = transport.where
        self.renews = transport.renews
        self._transport = transport
        self._batcher = Batcher(options, transport)
        self._flusher = AsyncFlusher(options, transport)
        self._buffered = Buffered(options, transport.where, self._flusher)
        self._direct = Direct(options, transport.where)
        self._renewals = Renewals(options.prefix, transport.twin)
        self._lane = AsyncLane(transport)
        self._open = OpenJobs()
        self.later = AsyncLater(send_each)
        self.gathered = AsyncLater(self._take_off)
        self.answers: WeakSet[GatheringHandle] = WeakSet()
        self._calls = 0
        self._idle: asyncio.Future[None] | None = None
        self._finishing: set[asyncio.Task[None]] = set()
        self._home = Home()
        self.moves = 0
        """How often :meth:`at_home` has found another loop."""

    def at_home(self) -> int:
        """Be at home in the running event loop; how often the publisher has moved to another one, because the one
        before was closed. What waits for Redis moves along. Raises :class:`PublisherError` where that cannot be."""
        if self._home.moved():
            self._transport.move()
            self._home.settle()
            self.moves += 1
            self._calls, self._idle, self._finishing = 0, None, set()
            self._batcher = Batcher(self._options, self._transport)  # who waited in it has gone with the old loop
            self._lane = AsyncLane(self._transport)
            self._flusher.move()
            self.later.move()
            self.gathered.move()
        return self.moves

    @contextlib.contextmanager
    def under_way(self) -> Iterator[None]:
        """What is done inside is waited for by :meth:`close`."""
        self._calls, moves = self._calls + 1, self.moves
        try:
            yield
        finally:
            if moves == self.moves:  # else it has gone with its loop
                self._calls -= 1
            if not self._calls and self._idle is not None and not self._idle.done():
                self._idle.set_result(None)

    def finish(self, call: Coroutine[Any, Any, None]) -> None:
        """Make a call for somebody who is not there any more."""
        task = asyncio.get_running_loop().create_task(call, name="sse-publisher-end")
        self._finishing.add(task)
        task.add_done_callback(self._finishing.discard)

    async def _calls_over(self, timeout_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._calls:
                    self._idle = asyncio.get_running_loop().create_future()
                    await self._idle

    async def close(self) -> None:
        """Wait up to ``flush_timeout_s`` for waiting events and close the connections."""
        self.at_home()
        timeout_s = self._options.flush_timeout_s
        if self._finishing:
            await asyncio.wait(list(self._finishing), timeout=timeout_s)
        await self._calls_over(timeout_s)
        await self.later.flush()
        await land(list(self.answers), timeout_s)
        self._renewals.close()
        if not await self._flusher.wait(timeout_s):
            reports.left_over(len(self._flusher), self._transport.where, timeout_s)
        await self._flusher.stop()
        await self._batcher.close()
        await self._transport.close()

    async def publish(self, event: Draft) -> Receipt | None:
        """Send a plain event, or keep it where the options say so."""
        self.at_home()
        if self._options.on_error == "buffer":
            with self.under_way():
                return await drive(self._buffered.publish(event), self._perform)
        reply = await self._batcher.send(event.call(self._options), reports.name(event))
        return replies.receipt(event, reply)

    async def publish_many(self, events: list[Draft]) -> list[Receipt | None]:
        """The same for a list, in one round trip."""
        self.at_home()
        way = self._buffered if self._options.on_error == "buffer" else self._direct
        with self.under_way():
            return await drive(way.publish_many(events), self._perform)

    async def run(self, flow: Flow[T]) -> T:
        """Run a flow, each of whose requests is repeated for about 5 s."""
        self.at_home()
        return await drive(flow, self._insist)

    async def report(self, record: JobRecord, entry: Entry) -> None:
        """Send what a job's worker reports, or keep it."""
        self.at_home()
        await drive(self.reporting(record, entry), self._perform)

    def reporting(self, record: JobRecord, entry: Entry) -> Effects[None]:
        """The same as a flow, to be part of one for :meth:`follow`."""
        return self._buffered.report(record, entry)

    async def follow(self, flow: Effects[None]) -> None:
        """Run a flow, each of whose requests is made once."""
        await drive(flow, self._perform)

    async def _take_off(self, handles: list[GatheringHandle]) -> None:
        await take_off(handles, self._lane, self._perform)

    async def look(self, record: JobRecord) -> bool:
        """Let a record know how its job stands; whether one try to read it worked."""
        self.at_home()
        return await drive(self._buffered.look(record), self._perform)

    def hold(self, record: JobRecord) -> None:
        """Renew the lease of a job that was opened, until it is released."""
        self._open.hold(record)
        self._renewals.hold(record)

    def release(self, record: JobRecord) -> None:
        """The worker has nothing to do with the job any more."""
        self._renewals.release(record)

    def keep(self, record: JobRecord, entry: Entry) -> None:
        """Let an entry wait for its turn: whoever should wait for it is being interrupted."""
        self._flusher.add([entry], record)

    async def settle(self, record: JobRecord) -> None:
        """Wait up to ``flush_timeout_s`` for the job's events to be in Redis; log where they are not."""
        self.at_home()
        timeout_s = self._options.flush_timeout_s
        if not record.deaf and not await self._flusher.wait(timeout_s, record):
            reports.unfinished(record, timeout_s)

    async def _perform(self, effect: Effect) -> Any:
        if isinstance(effect, Call) and effect.script is ScriptName.ANSWER:
            return await self._lane.ask(effect)
        return self._open.heard(effect, await perform(self._transport, effect))

    async def _insist(self, request: Request) -> Any:
        what = requests.what(request)
        if isinstance(request, Call):
            return self._open.heard(request, await self._batcher.send(request, what))
        deadline = time.monotonic() + DIRECT_S
        try:
            return await self._transport.execute(request)
        except errors.ERRORS as error:
            return await drive(self._direct.again(request, error, what, deadline), self._perform)

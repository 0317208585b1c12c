"""How a stream begins: subscribe, read the history once, greet, and say what was missed or how things stand."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from starlette.types import Send

from gateway import answers, continuity, cursor, sse
from gateway.access import Owner
from gateway.channel import Channel
from gateway.closing import Closing
from gateway.connection import Connection
from gateway.continuity import Snapshot
from gateway.exceptions import NotFound, Refused
from gateway.node import Node
from gateway.plan import Plan
from gateway.principal import Principal
from gateway.protocol import GatewayProtocol
from gateway.reconciler import newest
from gateway.store import StoreDown
from gateway.stream import COMMENT, Stream, loss
from publisher.envelope import Event, Position
from publisher.job import Job

SUBSCRIBE_TIMEOUT_S: Final = 5.0


class Read(NamedTuple):
    """One channel as the first read found it; ``asked`` is where the hub stood when the read was sent."""

    snapshot: Snapshot
    jobs: list[Job]
    asked: Position | None

    def is_over_for(self, position: Position | None) -> bool:
        """Whether this is a job that has ended and a client at ``position`` has all of it."""
        return bool(self.jobs) and self.jobs[0].finished and position == self.snapshot.top


class Opening:
    """From an admitted request to an open stream; gone when that stands on its own feet."""

    def __init__(
        self, node: Node, plan: Plan, principal: Principal, http: GatewayProtocol, send: Send, last_event_id: str
    ) -> None:
        self._node = node
        self._plan = plan
        self._principal = principal
        self._http = http
        self._send = send
        self._cursor = last_event_id
        self._known = cursor.parse(last_event_id) if last_event_id else {}
        self._untold = cursor.untold(last_event_id)
        self._loop = asyncio.get_running_loop()

    async def open(self, on_end: Callable[[], None]) -> bool:
        """Whether there is a stream now, which lives on by itself; then ``on_end`` is called at its end.

        Else everything was said (204). Raises before the response has begun, never afterwards.
        """
        node = self._node
        channels = [node.hub.channel(name) for name in self._plan.channels]
        for channel in channels:
            channel.join()
        try:
            reads = await self._first_read(channels)
            node.check_revoked(self._principal)  # it may have come while this stream was not open yet
            if node.draining:
                raise Refused(Closing.DRAINING)  # nobody would tell it later
            positions = self._where(channels)
            if self._over(channels, positions, reads):
                await self._nothing_more()
                return False
            head = await self._http.head(answers.start_stream(self._send))
            stream = self._take_over(head, channels, on_end)
            with stream.going():
                self._say(stream, channels, positions, reads)
                node.hub.flush()
            return True
        finally:
            for channel in channels:
                channel.joined()

    # The first read ---

    async def _first_read(self, channels: list[Channel]) -> list[Read]:
        """Subscribe, then read, so that nothing falls in between; wait for jobs that are not there yet."""
        await self._subscribe(channels)
        deadline = self._loop.time() + self._node.settings.job_wait_s
        if len(channels) == 1:
            return [await self._read_when_there(channels[0], deadline)]
        return list(await asyncio.gather(*[self._read_when_there(channel, deadline) for channel in channels]))

    async def _subscribe(self, channels: list[Channel]) -> None:
        subscriber = self._node.subscriber
        new = [channel for channel in channels if not subscriber.has(channel.name)]
        if not new:
            return
        try:
            async with asyncio.timeout(SUBSCRIBE_TIMEOUT_S):
                if len(new) == 1:
                    await subscriber.want(new[0].name)  # no task for what most streams have
                else:
                    await asyncio.gather(*[subscriber.want(channel.name) for channel in new])
        except TimeoutError:
            raise StoreDown("Redis did not confirm the subscription.") from None

    async def _read_when_there(self, channel: Channel, deadline: float) -> Read:
        if not channel.is_job:
            return await self._read(channel)
        changed = asyncio.Event()
        channel.watchers.add(changed.set)
        try:
            while True:
                if self._node.draining:
                    raise Refused(Closing.DRAINING)
                changed.clear()
                read = await self._read(channel)
                if read.jobs and self._may_have(read.jobs[0]):
                    return read
                try:
                    async with asyncio.timeout_at(deadline):
                        await changed.wait()
                except TimeoutError:
                    raise NotFound("There is no such job.") from None
        finally:
            channel.watchers.discard(changed.set)

    def _may_have(self, job: Job) -> bool:
        return self._node.may_read_job(self._principal, job) and self._plan.accepts_job(job)

    async def _read(self, channel: Channel) -> Read:
        """The events after the older of the cursor and the channel's own position, and the newest state."""
        asked = channel.position
        mine = self._known.get(channel.tag)
        if not channel.is_job and channel.tag not in self._untold:
            # No state is to be told, unless something was missed that cannot be replayed.
            here = self._remembered(channel, mine)
            if here is None and mine is not None:
                here, asked = await self._resumed(channel, mine)
            if here is not None and (mine is None or continuity.missed(mine, here) is not None):
                return Read(here, [], asked)
        history, after = self._node.history, _after(mine, asked)
        snapshot, jobs = await newest(history, channel.name, after, everything=bool(self._cursor))
        return Read(snapshot, jobs, asked)

    async def _resumed(self, channel: Channel, mine: Position) -> tuple[Snapshot, Position | None]:
        """The events after ``mine``, and where the hub stood when they were asked for. What the first of a crowd reads
        serves all who come while it does."""
        if channel.reading is not None:
            await asyncio.wait([channel.reading])
            here = self._remembered(channel, mine)
            if here is not None:
                return here, here.top
        reading: asyncio.Future[None] = self._loop.create_future()
        channel.reading = channel.reading or reading
        asked = channel.position
        try:
            here = await self._node.history.read(channel.name, _after(mine, asked))
            if self._node.hub.learn(channel, here, asked) and channel.joiners > 1:
                channel.recall(here)
            self._node.hub.flush()
            return here, asked
        finally:
            if channel.reading is reading:
                channel.reading = None
            reading.set_result(None)

    def _remembered(self, channel: Channel, mine: Position | None) -> Snapshot | None:
        """What a read would bring, if the node knows it already."""
        here = channel.position
        if here is None or (mine is None and (self._cursor or channel.name.startswith("user:"))):
            return None
        events = channel.since(mine or here)
        return None if events is None else Snapshot(here, events)

    def _where(self, channels: list[Channel]) -> list[Position | None]:
        """Where the cursor stands on each channel; None where it says nothing."""
        return [self._known.get(channel.tag) for channel in channels]

    def _over(self, channels: list[Channel], positions: list[Position | None], reads: list[Read]) -> bool:
        return all(
            channel.is_job and channel.tag not in self._untold and read.is_over_for(position)
            for channel, position, read in zip(channels, positions, reads, strict=True)
        )

    async def _nothing_more(self) -> None:
        self._node.metrics.resumes["ended"] += 1
        await answers.start_stream(self._send, 204)
        await self._send({"type": "http.response.body", "body": b""})

    # The first words ---

    def _take_over(self, head: bytes, channels: list[Channel], on_end: Callable[[], None]) -> Stream:
        node, principal = self._node, self._principal
        peer, talking = self._http.hand_over()

        def admits(channel: str, owner: Owner) -> bool:
            return node.may_read(principal, channel, owner)

        connection = Connection(
            f"{random.getrandbits(72):018x}",
            self._plan.encoder,
            peer,
            limit=node.settings.queue_bytes,
            chunked=peer.chunked,
            subject=principal.subject,
            admits=admits,
            now=time.monotonic(),
        )
        connection.channels = channels
        stream = Stream(node, connection, peer, on_end)
        peer.attach(connection)
        node.opened(connection, principal.expires_at)
        node.hub.queue(connection, head)
        if talking:
            connection.on_intrusion()
        return stream

    def _say(
        self, stream: Stream, channels: list[Channel], positions: list[Position | None], reads: list[Read]
    ) -> None:
        """The greeting, then per channel what was missed or the newest state."""
        connection = stream.connection
        for channel, position, read in zip(channels, positions, reads, strict=True):
            connection.behind[channel] = position or (cursor.UNKNOWN if self._cursor else read.snapshot.top)
            if (channel.tag in self._untold or not self._cursor) and self._states(channel, read):
                connection.untold |= {channel}
        missed = [
            None if position is None else continuity.missed(position, read.snapshot)
            for position, read in zip(positions, reads, strict=True)
        ]
        self._greet(stream, channels, resumed=None not in missed)
        for channel, position, read, events in zip(channels, positions, reads, missed, strict=True):
            if position is not None:
                if channel in connection.untold:
                    stream.tell(channel, self._states(channel, read), position)
                self._resume(stream, channel, position, read, events)
            elif self._cursor:
                self._node.metrics.resumes["reset"] += 1
                stream.reset(channel, read.snapshot, read.jobs, "cursor")
            else:
                self._fresh(stream, channel, read)
            stream.learn(channel, read.snapshot, read.asked)
            stream.splice(channel)

    def _greet(self, stream: Stream, channels: list[Channel], *, resumed: bool) -> None:
        connection = stream.connection
        low, high = self._node.settings.retry_ms
        retry = sse.retry(random.randint(low, high))
        blocks = self._plan.encoder.opened(connection.id, [channel.name for channel in channels], resumed)
        line = connection.id_line()
        stream.queue(
            [retry + line + blocks[0], *[line + block for block in blocks[1:]]] if blocks else [retry + COMMENT]
        )

    def _states(self, channel: Channel, read: Read) -> list[bytes]:
        shown = [job for job in read.jobs if channel.is_job or not job.finished]
        return [block for job in shown for block in self._plan.encoder.state(job, read.snapshot.top.seq)]

    def _fresh(self, stream: Stream, channel: Channel, read: Read) -> None:
        stream.tell(channel, self._states(channel, read), read.snapshot.top)
        stream.note_end(channel, read.jobs)

    def _resume(
        self, stream: Stream, channel: Channel, position: Position, read: Read, events: list[Event] | None
    ) -> None:
        if position == read.snapshot.top:
            stream.note_end(channel, read.jobs)
        if stream.connection.paused or stream.connection.queued > stream.connection.limit:
            return  # stays behind: the history is read again when the peer has taken what came before
        if events is None:
            self._node.metrics.resumes["reset"] += 1
            stream.reset(channel, read.snapshot, read.jobs, loss(position, read.snapshot))
            return
        self._node.metrics.resumes["replayed" if events else "current"] += 1
        stream.replay(channel, events)


def _after(mine: Position | None, asked: Position | None) -> int | None:
    """The number after which events are wanted: that of the older of the two positions; None reads no events."""
    return min([position.seq for position in (mine, asked) if position is not None], default=None)

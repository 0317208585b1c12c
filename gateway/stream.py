"""One stream from its first read to its end: opening, catching up, farewell.

The hot path does not run here: the hub writes to the socket itself. A stream's task only reads the history, at the
beginning and whenever its connection has fallen behind, and sleeps otherwise.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import time
from typing import Final, NamedTuple

from starlette.types import Scope, Send

from gateway import answers, continuity, cursor, sse
from gateway.access import Owner
from gateway.channel import Channel
from gateway.closing import Closing
from gateway.connection import Connection
from gateway.continuity import Snapshot
from gateway.exceptions import NotFound, Refused
from gateway.hub import reset_blocks
from gateway.node import Node
from gateway.ownership import new_owners
from gateway.plan import Plan
from gateway.principal import Principal
from gateway.protocol import EXTENSION, GatewayProtocol
from gateway.reconciler import newest
from gateway.store import StoreDown
from publisher import channels as names
from publisher.envelope import Event, Position
from publisher.job import Job

log = logging.getLogger("gateway.stream")

SUBSCRIBE_TIMEOUT_S: Final = 5.0
FAREWELL_S: Final = 5.0
"""A peer that takes none of the last words for this long is cut off,"""
FAREWELL_MAX_S: Final = 60.0
"""and one that takes them slowly after this."""
COMMENT: Final = b": ok\n"


class Read(NamedTuple):
    """One channel as the first read found it; ``asked`` is where the hub stood when the read was sent."""

    snapshot: Snapshot
    jobs: list[Job]
    asked: Position | None

    def is_over_for(self, position: Position | None) -> bool:
        """Whether this is a job that has ended and a client at ``position`` has all of it."""
        return bool(self.jobs) and self.jobs[0].finished and position == self.snapshot.top


class Stream:
    """The task's side of a connection."""

    def __init__(
        self, node: Node, plan: Plan, principal: Principal, scope: Scope, send: Send, last_event_id: str
    ) -> None:
        self._node = node
        self._plan = plan
        self._principal = principal
        self._send = send
        self._peer: GatewayProtocol = scope["extensions"][EXTENSION]
        self._cursor = last_event_id
        self._woken = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._connection = Connection(
            secrets.token_urlsafe(9),
            plan.encoder,
            self._peer,
            limit=node.settings.queue_bytes,
            wake=self._woken.set,
            subject=principal.subject,
            admits=self._admits,
            now=time.monotonic(),
        )

    async def run(self) -> None:
        """Serve until the end. Raises before the response has begun, never afterwards."""
        node, connection = self._node, self._connection
        channels = [node.hub.channel(name) for name in self._plan.channels]
        for channel in channels:
            channel.join()
        joined = True
        try:
            reads = await self._first_read(channels)
            node.check_revoked(self._principal)  # it may have come while this stream was not open yet
            if node.draining:
                raise Refused(Closing.DRAINING)  # nobody would tell it later
            positions = self._where(channels)
            if self._over(channels, positions, reads):
                await self._nothing_more()
                return
            self._peer.begin()
            await answers.start_stream(self._send)
            connection.chunked = self._peer.chunked
            connection.channels = channels
            self._peer.attach(connection)
            node.opened(connection, self._principal.expires_at)
            try:
                self._open(channels, positions, reads)
                node.hub.flush()
                await self._catch_up()
                for channel in channels:
                    channel.joined()
                joined = False
                await self._stay()
                await self._farewell()
            finally:
                node.closed(connection)
                self._peer.detach()
                connection.let_go()
        finally:
            if joined:
                for channel in channels:
                    channel.joined()

    # Opening ---

    async def _first_read(self, channels: list[Channel]) -> list[Read]:
        """Subscribe, then read, so that nothing falls in between; wait for jobs that are not there yet."""
        try:
            async with asyncio.timeout(SUBSCRIBE_TIMEOUT_S):
                await asyncio.gather(*[self._node.subscriber.want(channel.name) for channel in channels])
        except TimeoutError:
            raise StoreDown("Redis did not confirm the subscription.") from None
        deadline = self._loop.time() + self._node.settings.job_wait_s
        return list(await asyncio.gather(*[self._read_when_there(channel, deadline) for channel in channels]))

    async def _read_when_there(self, channel: Channel, deadline: float) -> Read:
        changed = asyncio.Event()
        channel.watchers.add(changed.set)
        try:
            while True:
                if self._node.draining:
                    raise Refused(Closing.DRAINING)
                changed.clear()
                read = await self._read(channel, channel.position)
                if not channel.is_job or (read.jobs and self._may_have(read.jobs[0])):
                    return read
                try:
                    async with asyncio.timeout_at(deadline):
                        await changed.wait()
                except TimeoutError:
                    raise NotFound("There is no such job.") from None
        finally:
            channel.watchers.discard(changed.set)

    def _admits(self, channel: str, owner: Owner) -> bool:
        return self._node.may_read(self._principal, channel, owner)

    def _may_have(self, job: Job) -> bool:
        return self._node.may_read_job(self._principal, job) and self._plan.accepts_job(job)

    async def _read(self, channel: Channel, asked: Position | None) -> Read:
        """The events after the older of the cursor and the channel's own position, and the newest state."""
        mine = cursor.parse(self._cursor).get(channel.tag)
        afters = [position.seq for position in (mine, asked) if position is not None]
        after = min(afters) if afters else None
        snapshot, jobs = await newest(self._node.history, channel.name, after, everything=bool(self._cursor))
        return Read(snapshot, jobs, asked)

    def _where(self, channels: list[Channel]) -> list[Position | None]:
        """Where the cursor stands on each channel; None where it says nothing."""
        known = cursor.parse(self._cursor)
        return [known.get(channel.tag) for channel in channels]

    def _over(self, channels: list[Channel], positions: list[Position | None], reads: list[Read]) -> bool:
        untold = cursor.untold(self._cursor)
        return all(
            channel.is_job and channel.tag not in untold and read.is_over_for(position)
            for channel, position, read in zip(channels, positions, reads, strict=True)
        )

    async def _nothing_more(self) -> None:
        self._node.metrics.resumes["ended"] += 1
        await answers.start_stream(self._send, 204)
        await self._send({"type": "http.response.body", "body": b""})

    def _open(self, channels: list[Channel], positions: list[Position | None], reads: list[Read]) -> None:
        """The greeting, then per channel what was missed or the newest state."""
        connection, untold = self._connection, cursor.untold(self._cursor)
        for channel, position, read in zip(channels, positions, reads, strict=True):
            connection.behind[channel] = position or (cursor.UNKNOWN if self._cursor else read.snapshot.top)
            if self._states(channel, read) and (channel.tag in untold or not self._cursor):
                connection.untold.add(channel)
        replayable = [
            position is not None and continuity.missed(position, read.snapshot) is not None
            for position, read in zip(positions, reads, strict=True)
        ]
        self._greet(channels, resumed=all(replayable))
        for channel, position, read in zip(channels, positions, reads, strict=True):
            if position is not None:
                if channel in connection.untold:
                    self._tell(channel, self._states(channel, read), position)
                self._resume(channel, position, read)
            elif self._cursor:
                self._node.metrics.resumes["reset"] += 1
                self._reset(channel, read.snapshot, read.jobs, "cursor")
            else:
                self._fresh(channel, read)
            self._learn(channel, read.snapshot, read.asked)
            self._splice(channel)

    def _greet(self, channels: list[Channel], *, resumed: bool) -> None:
        low, high = self._node.settings.retry_ms
        retry = sse.retry(random.randint(low, high))
        blocks = self._plan.encoder.opened(self._connection.id, [channel.name for channel in channels], resumed)
        line = self._connection.id_line()
        self._queue(
            [retry + line + blocks[0], *[line + block for block in blocks[1:]]] if blocks else [retry + COMMENT]
        )

    def _states(self, channel: Channel, read: Read) -> list[bytes]:
        shown = [job for job in read.jobs if channel.is_job or not job.finished]
        return [block for job in shown for block in self._plan.encoder.state(job, read.snapshot.top.seq)]

    def _fresh(self, channel: Channel, read: Read) -> None:
        self._tell(channel, self._states(channel, read), read.snapshot.top)
        self._note_end(channel, read.jobs)

    def _tell(self, channel: Channel, blocks: list[bytes], top: Position) -> None:
        """What brings the client to ``top``. Only the last of them says so: who is cut off in between is told anew."""
        before = self._connection.id_line()
        self._connection.behind[channel] = top
        self._connection.untold.discard(channel)
        lines = [before] * (len(blocks) - 1) + [self._connection.id_line()]
        self._queue([line + block for line, block in zip(lines, blocks, strict=False)])

    def _resume(self, channel: Channel, position: Position, read: Read) -> None:
        if position == read.snapshot.top:
            self._note_end(channel, read.jobs)
        if self._connection.paused or self._connection.queued > self._connection.limit:
            return  # stays behind: the history is read again when the peer has taken what came before
        events = continuity.missed(position, read.snapshot)
        if events is None:
            self._node.metrics.resumes["reset"] += 1
            self._reset(channel, read.snapshot, read.jobs, _loss(position, read.snapshot))
            return
        self._node.metrics.resumes["replayed" if events else "current"] += 1
        self._replay(channel, events)

    # Between history and live -----------------------------------------------------------------------------------------

    def _learn(self, channel: Channel, snapshot: Snapshot, asked: Position | None) -> None:
        if not self._node.hub.learn(channel, snapshot, asked):
            self._node.reconciler.suspect(channel)

    def _splice(self, channel: Channel) -> None:
        """Go live if what this stream has joins up with what the hub has."""
        if self._connection.closing is Closing.FORBIDDEN:
            return
        lacking = self._node.hub.splice(self._connection, channel, self._connection.behind[channel])
        if lacking is not None:
            self._replay(channel, lacking)
            del self._connection.behind[channel]

    def _replay(self, channel: Channel, events: list[Event]) -> None:
        connection, encoder = self._connection, self._plan.encoder
        if channel.is_job and connection.turned_away(channel, new_owners(events)):
            return
        frames = []
        for event in events:
            connection.behind[channel] = event.position
            block = encoder.event(event)
            if block is not None:
                frames.append(connection.id_line() + block)
        self._queue(frames)
        self._node.metrics.replayed += len(events)
        if channel.is_job and events and events[-1].type in names.TERMINAL_TYPES:
            connection.channel_ended(channel)

    def _reset(self, channel: Channel, snapshot: Snapshot, jobs: list[Job], reason: str) -> None:
        if channel.is_job and self._connection.turned_away(channel, [job.owner for job in jobs]):
            return
        self._node.metrics.resets[reason] += 1
        blocks = reset_blocks(self._plan.encoder, channel.name, reason, jobs, snapshot.top.seq)
        self._tell(channel, blocks, snapshot.top)
        self._note_end(channel, jobs)

    def _note_end(self, channel: Channel, jobs: list[Job]) -> None:
        if channel.is_job and jobs and jobs[0].finished:
            self._connection.channel_ended(channel)

    def _queue(self, frames: list[bytes]) -> None:
        if frames:
            self._node.hub.queue(self._connection, self._connection.framed(frames))

    async def _catch_up(self) -> None:
        """Read the history page by page until every channel is live; the peer sets the pace."""
        connection = self._connection
        while connection.behind and not connection.is_ending():
            for channel in list(connection.behind):
                await self._drained()
                if connection.is_ending():
                    return
                try:
                    await self._read_on(channel)
                except StoreDown:
                    await asyncio.sleep(random.uniform(0.1, 0.5))
            self._node.hub.flush()

    async def _read_on(self, channel: Channel) -> None:
        position = self._connection.behind[channel]
        asked = channel.position
        after = position.seq if asked is None else min(position.seq, asked.seq)
        snapshot = await self._node.history.read(channel.name, after)
        self._learn(channel, snapshot, asked)
        events = continuity.missed(position, snapshot)
        if events is None:
            snapshot, jobs = await newest(self._node.history, channel.name, everything=True)
            self._reset(channel, snapshot, jobs, _loss(position, snapshot))
        else:
            self._replay(channel, events)
        self._splice(channel)

    async def _drained(self) -> None:
        """Wait until the peer has taken what is queued, or the stream is to end."""
        connection = self._connection
        while (connection.paused or connection.queued) and not connection.is_ending():
            await self._more_room()

    async def _emptied(self) -> bool:
        """Whether the peer has taken all that is queued; it gets time as long as it takes something."""
        connection = self._connection
        patience = FAREWELL_S if connection.closing is Closing.DRAINING else FAREWELL_MAX_S
        deadline = self._loop.time() + patience
        while (connection.paused or connection.queued) and not connection.lost:
            held = connection.queued + self._peer.unsent()
            try:
                async with asyncio.timeout(FAREWELL_S):
                    await self._more_room()
            except TimeoutError:
                if connection.queued + self._peer.unsent() == held:
                    return False
            if self._loop.time() > deadline:
                return False
        return not connection.lost

    async def _more_room(self) -> None:
        self._woken.clear()
        self._connection.write_pending()
        if self._connection.paused:
            await self._woken.wait()

    async def _stay(self) -> None:
        """Live. Sleep until the connection has fallen behind, or ends."""
        connection = self._connection
        while not connection.is_ending():
            self._woken.clear()
            if not connection.behind:
                await self._woken.wait()
            if connection.behind and not connection.is_ending():
                for channel in connection.channels:  # also those that fall behind meanwhile
                    channel.join()
                try:
                    await self._catch_up()
                finally:
                    for channel in connection.channels:
                        channel.joined()

    # The end ---

    async def _farewell(self) -> None:
        """The last words, and the end of the response; a peer that does not take them is cut off."""
        connection, closing = self._connection, self._connection.closing
        assert closing is not None
        self._node.hub.discard(connection)
        if closing in (Closing.GONE, Closing.STALLED, Closing.PROTOCOL):
            self._peer.abort()
            return
        if closing is Closing.FINISHED and self._plan.encoder.end_delay_s:
            await asyncio.sleep(self._plan.encoder.end_delay_s)
        blocks = self._plan.encoder.closing(closing)
        if closing.reconnect:
            low, high = self._node.settings.retry_ms
            retry = sse.retry(random.randint(low, high))
            blocks = [retry + blocks[0], *blocks[1:]] if blocks else [retry + COMMENT]
        self._queue(blocks)
        self._node.hub.flush()
        if not await self._emptied():
            self._peer.abort()
            return
        self._peer.detach()
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _loss(position: Position, snapshot: Snapshot) -> str:
    """The reason of a reset: the history no longer holds this position, or no longer holds what came after it."""
    gone = position.epoch != snapshot.top.epoch or position.seq >= snapshot.top.seq
    return "history_lost" if gone else "history_trimmed"

"""How a stream begins: subscribe, read the history once, greet, and say what was missed or how things stand."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from starlette.types import Send

from gateway.auth.principal import Principal
from gateway.broker.history import Owners
from gateway.closing import Closing
from gateway.exceptions import NotFound, Refused
from gateway.fanout import continuity, cursor
from gateway.fanout.channel import Channel
from gateway.fanout.continuity import Snapshot
from gateway.fanout.ownership import Owner
from gateway.http import responses
from gateway.limits import Limits
from gateway.reconciler import newest
from gateway.sockets.protocol import GatewayProtocol
from gateway.streams.arrival import PendingStream
from gateway.streams.parts import StreamParts
from gateway.streams.plan import Plan
from gateway.streams.stream import COMMENT, Stream
from publisher.envelope import START, Event, Position
from publisher.job import Job


class FirstRead(NamedTuple):
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
        self,
        parts: StreamParts,
        plan: Plan,
        principal: Principal,
        http: GatewayProtocol,
        send: Send,
        last_event_id: str,
        *,
        arrival: PendingStream,
        limits: Limits,
        user_key: str,
    ) -> None:
        self._parts = parts
        self._plan = plan
        self._principal = principal
        self._arrival = arrival
        self._said: dict[Channel, list[bytes]] = {}
        self._http = http
        self._send = send
        self._limits = limits
        self._user_key = user_key
        self.go_on(last_event_id)
        self._loop = asyncio.get_running_loop()

    def go_on(self, last_event_id: str) -> None:
        """Begin where this cursor says; an empty one begins now."""
        self._cursor = last_event_id
        tags = [cursor.tag(name) for name in self._plan.channels] if last_event_id else []
        self._known = cursor.places(last_event_id, tags) if last_event_id else {}
        self._untold = cursor.untold(last_event_id)

    async def open(self, on_end: Callable[[], None]) -> bool:
        """Whether there is a stream now, which lives on by itself; then ``on_end`` is called at its end.

        Else there is nothing more to say. Raises before the response has begun, never afterwards.
        """
        parts = self._parts
        channels = [parts.hub.channel(name) for name in self._plan.channels]
        for channel in channels:
            channel.join()
        try:
            reads = await self._first_read(channels)
            if self._plan.last and not self._cursor:
                reads = await asyncio.gather(*[self._earlier(*pair) for pair in zip(channels, reads, strict=True)])
            # From here to the end nothing waits (``head`` is awaited, and never does): a revocation, a drain or an
            # event that came between these looks and the stream's place among the others would pass it by.
            parts.callers.check_revoked(self._principal)  # it may have come while this stream was not open yet
            if parts.streams.draining:
                raise Refused(Closing.DRAINING)  # nobody would tell it later
            positions = self._where(channels)
            if self._over(channels, positions, reads):
                parts.metrics.resumes["ended"] += 1
                return False
            head = await self._http.head(responses.start_stream(self._plan.encoder.headers), self._send)
            stream = self._take_over(head, channels, on_end)
            stream.begin(lambda: self._first_words(stream, channels, positions, reads))
            return True
        finally:
            for channel in channels:
                channel.joined()

    # The first read ---

    async def _first_read(self, channels: list[Channel]) -> list[FirstRead]:
        """Subscribe, then read, so that nothing falls in between; wait for jobs that are not there yet."""
        has = self._parts.subscriptions.has
        new = [channel for channel in channels if not has(channel.name)]
        if new:
            await self._parts.subscriptions.want(*[channel.name for channel in new])
        at_hand = [self._at_hand(channel) for channel in channels]
        missing = [channel for channel, read in zip(channels, at_hand, strict=True) if read is None]
        deadline = self._loop.time() + self._parts.settings.job_wait_s
        if not missing:
            found = []
        elif len(missing) == 1:
            found = [await self._read_when_there(missing[0], deadline)]
        else:
            found = await asyncio.gather(*[self._read_when_there(channel, deadline) for channel in missing])
        later = iter(found)
        reads = [read for each in at_hand if (read := each or next(later)) is not None]
        if len(reads) < len(channels):
            raise NotFound("There is no such job.")
        return reads

    async def _read_when_there(self, channel: Channel, deadline: float) -> FirstRead | None:
        """None where there is no such job at the deadline: an error for each of them would be much to clear away."""
        if not channel.is_job:
            return await self._read(channel)
        owners = self._owners(channel)
        changed = asyncio.Event()
        channel.watchers.add(changed.set)
        self._limits.seek(self._user_key)
        try:
            while True:
                if self._parts.streams.draining:
                    raise Refused(Closing.DRAINING)
                changed.clear()
                read = await self._read(channel, owners)
                if read.jobs and self._may_have(read.jobs[0]):
                    self._limits.found(self._user_key)
                    return read
                try:
                    async with asyncio.timeout_at(deadline):
                        await changed.wait()
                except TimeoutError:
                    return None
        finally:
            channel.watchers.discard(changed.set)

    def _owners(self, channel: Channel) -> Owners | None:
        """Whose job it has to be for its state to be read, None for anybody's: that of somebody else's job may be
        large, and a stream that waits for it takes the same steps as one that waits for a job that is not there."""
        callers, principal = self._parts.callers, self._principal
        if callers.may_read(principal, channel.name):
            return None
        possible = (None, principal.subject)
        return frozenset(owner for owner in possible if callers.may_read(principal, channel.name, owner))

    def _may_have(self, job: Job) -> bool:
        return self._parts.callers.may_read_job(self._principal, job) and self._plan.accepts_job(job)

    async def _read(self, channel: Channel, owners: Owners | None = None) -> FirstRead:
        """The events after the older of the cursor and the channel's own position, and the newest state."""
        at_hand = self._at_hand(channel)
        if at_hand is not None:
            return at_hand
        mine = self._known.get(channel.tag)
        if mine is not None and self._says_no_state(channel) and self._remembered(channel, mine) is None:
            here, asked = await self._resumed(channel, mine)
            if continuity.missed(mine, here) is not None:
                return FirstRead(here, [], asked)
        if channel.is_job and self._plan.encoder.shares_states:
            return await self._read_job(channel, owners)
        return await self._newest(channel, mine, owners)

    async def _newest(self, channel: Channel, mine: Position | None, owners: Owners | None) -> FirstRead:
        asked = channel.position
        has = None if self._plan.encoder.shares_states or channel.tag in self._untold else mine
        snapshot, jobs = await newest(self._parts.history, channel.name, _after(mine, asked), has=has, owners=owners)
        return FirstRead(snapshot, jobs, asked)

    async def _read_job(self, channel: Channel, owners: Owners | None) -> FirstRead:
        """A job's state that many may come for at once: what the first of them reads serves all, once it is live."""
        mine = self._known.get(channel.tag)
        if channel.reading is not None:
            await asyncio.wait([channel.reading])
            if shown := self._shown_job(channel):
                return shown
        with self._reading(channel):
            return await self._newest(channel, mine, owners)

    @contextlib.contextmanager
    def _reading(self, channel: Channel) -> Iterator[None]:
        """Others may wait until the history was read inside."""
        reading: asyncio.Future[None] = self._loop.create_future()
        channel.reading = channel.reading or reading
        try:
            yield
        finally:
            if channel.reading is reading:
                channel.reading = None
            reading.set_result(None)

    def _at_hand(self, channel: Channel) -> FirstRead | None:
        """What a read would bring, where nothing has to be asked."""
        if channel.is_job:
            return self._shown_job(channel)
        mine = self._known.get(channel.tag)
        here = self._remembered(channel, mine) if self._says_no_state(channel) else None
        if here is None or (mine is not None and continuity.missed(mine, here) is None):
            return None
        return FirstRead(here, [], channel.position)

    def _shown_job(self, channel: Channel) -> FirstRead | None:
        """A job whose newest state streams that are live here know between them."""
        if self._cursor or channel.position is None:
            return None
        job = self._plan.encoder.at_hand(self._parts.hub.members.of(channel), self._may_have)
        if job is None:
            return None
        return FirstRead(Snapshot(channel.position, []), [job], channel.position)

    def _says_no_state(self, channel: Channel) -> bool:
        """Whether no state is to be told, unless something was missed that cannot be replayed."""
        return not channel.is_job and channel.tag not in self._untold

    async def _resumed(self, channel: Channel, mine: Position) -> tuple[Snapshot, Position | None]:
        """The events after ``mine``, and where the hub stood when they were asked for. What the first of a crowd reads
        serves all who come while it does."""
        if channel.reading is not None:
            await asyncio.wait([channel.reading])
            here = self._remembered(channel, mine)
            if here is not None:
                return here, here.top
        asked = channel.position
        with self._reading(channel):
            here = await self._parts.history.read(channel.name, _after(mine, asked))
            if self._parts.hub.learn(channel, here, asked) and channel.joiners > 1:
                channel.recall(here)
            self._parts.hub.flush()
            return here, asked

    async def _earlier(self, channel: Channel, read: FirstRead) -> FirstRead:
        """Go back to ``last`` events ago, or to the oldest that is kept, as if the client came with a cursor from
        there: each event names the mark of the one before it."""
        asked = channel.position
        here = await self._parts.history.read(channel.name, max(0, read.snapshot.top.seq - self._plan.last))
        if here.events:
            first = here.events[0]
            self._known[channel.tag] = Position(first.epoch, first.seq - 1, first.prev) if first.seq > 1 else START
        return FirstRead(here, read.jobs, asked)

    def _remembered(self, channel: Channel, mine: Position | None) -> Snapshot | None:
        """What a read would bring, if the node knows it already."""
        here = channel.position
        if here is None or (mine is None and (self._cursor or channel.jobs_of is not None)):
            return None
        events = channel.since(mine or here)
        return None if events is None else Snapshot(here, events)

    def _where(self, channels: list[Channel]) -> list[Position | None]:
        """Where the cursor stands on each channel; None where it says nothing."""
        return [self._known.get(channel.tag) for channel in channels]

    def _over(self, channels: list[Channel], positions: list[Position | None], reads: list[FirstRead]) -> bool:
        return all(
            channel.is_job and channel.tag not in self._untold and read.is_over_for(position)
            for channel, position, read in zip(channels, positions, reads, strict=True)
        )

    # The first words ---

    def _first_words(
        self, stream: Stream, channels: list[Channel], positions: list[Position | None], reads: list[FirstRead]
    ) -> None:
        if self._arrival.sent_away:
            stream.connection.finish(Closing.DISCONNECTED)
        else:
            self._say(stream, channels, positions, reads)
        self._parts.hub.flush()

    def _take_over(self, head: bytes, channels: list[Channel], on_end: Callable[[], None]) -> Stream:
        parts, principal = self._parts, self._principal
        peer, talking = self._http.hand_over()

        def admits(channel: str, owner: Owner) -> bool:
            return parts.callers.may_read(principal, channel, owner)

        stream = Stream(
            parts,
            self._plan.encoder,
            peer,
            channels,
            subject=principal.subject,
            admits=admits,
            on_end=on_end,
        )
        connection = stream.connection
        peer.attach(connection)
        parts.streams.opened(connection, principal.expires_at)
        parts.hub.queue(connection, head)
        if talking:
            connection.on_intrusion()
        return stream

    def _say(
        self, stream: Stream, channels: list[Channel], positions: list[Position | None], reads: list[FirstRead]
    ) -> None:
        """The greeting, then per channel what was missed or the newest state."""
        connection = stream.connection
        for channel, position, read in zip(channels, positions, reads, strict=True):
            connection.behind[channel] = position or (cursor.UNKNOWN if self._cursor else read.snapshot.top)
            fresh = channel.tag in self._untold or (position is None and not self._cursor)
            if fresh and (channel.jobs_of is not None or self._states(channel, read)):
                connection.untold |= {channel}
            self._watch_leases(channel, read, told=channel in connection.untold)
        missed = [
            None if position is None else continuity.missed(position, read.snapshot)
            for position, read in zip(positions, reads, strict=True)
        ]
        self._greet(stream, channels, resumed=None not in missed)
        for channel, position, read, events in zip(channels, positions, reads, missed, strict=True):
            if channel in connection.untold and channel.jobs_of is not None:
                pass  # the stream's task tells a user's jobs first, at the peer's pace, and goes on from there
            elif position is not None:
                if channel in connection.untold:
                    stream.tell(channel, self._states(channel, read), position)
                self._resume(stream, channel, position, read, events)
            elif self._cursor:
                self._parts.metrics.resumes["reset"] += 1
                stream.reset(channel, read.snapshot, read.jobs, "cursor")
            else:
                self._fresh(stream, channel, read)
            stream.learn(channel, read.snapshot, read.asked)
            stream.splice(channel)

    def _watch_leases(self, channel: Channel, read: FirstRead, *, told: bool) -> None:
        """``told``: a user's jobs will be told one by one, and each is watched from then on."""
        for job in read.jobs:
            self._parts.leases.shown(job)
        if channel.jobs_of is not None and not told:
            self._parts.leases.viewed_owner(channel.jobs_of)

    def _greet(self, stream: Stream, channels: list[Channel], *, resumed: bool) -> None:
        connection = stream.connection
        retry = stream.retry()
        blocks = self._plan.encoder.opened(connection.id, [channel.name for channel in channels], resumed)
        line = connection.id_line()
        stream.queue(
            [retry + line + blocks[0], *[line + block for block in blocks[1:]]] if blocks else [retry + COMMENT]
        )

    def _states(self, channel: Channel, read: FirstRead) -> list[bytes]:
        """The newest states in the words of the dialect, made once: they may be long."""
        if channel not in self._said:
            encoder, seq = self._plan.encoder, read.snapshot.top.seq
            self._said[channel] = [block for job in read.jobs for block in encoder.state(job, seq)]
        return self._said[channel]

    def _fresh(self, stream: Stream, channel: Channel, read: FirstRead) -> None:
        stream.tell(channel, self._states(channel, read), read.snapshot.top)
        stream.note_end(channel, read.jobs)

    def _resume(
        self, stream: Stream, channel: Channel, position: Position, read: FirstRead, events: Sequence[Event] | None
    ) -> None:
        if position == read.snapshot.top:
            stream.note_end(channel, read.jobs)
        if events is not None and not self._can_go_on(read, events):
            self._parts.metrics.resumes["reset"] += 1
            stream.reset(channel, read.snapshot, read.jobs, "cursor")
            return
        if stream.connection.paused or stream.connection.queued > stream.connection.limit:
            return  # stays behind: the history is read again when the peer has taken what came before
        if events is None:
            self._parts.metrics.resumes["reset"] += 1
            stream.reset(channel, read.snapshot, read.jobs, continuity.loss(position, read.snapshot))
            return
        self._parts.metrics.resumes["replayed" if events else "current"] += 1
        stream.replay(channel, events)

    def _can_go_on(self, read: FirstRead, events: Sequence[Event]) -> bool:
        encoder, complete = self._plan.encoder, not read.snapshot.more
        return all(encoder.resumed(job, events, complete=complete) for job in read.jobs)


def _after(mine: Position | None, asked: Position | None) -> int | None:
    """The number after which events are wanted: that of the older of the two positions; None reads no events."""
    return min([position.seq for position in (mine, asked) if position is not None], default=None)

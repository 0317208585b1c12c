"""Who listens to what on this node, and the fan-out. No await, no I/O: time and sockets come from outside.

Everything that one read from Redis brought is taken in one step, and each connection gets it as one piece. A member
of a channel is *live*: it has everything up to the channel's position. Whoever is not goes through the history until
it can be spliced in. An event that does not continue the channel's chain is never delivered; its channel is named in
``suspects``, and the reconciler finds out what is missing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, TypeAlias

from gateway.closing import Closing
from gateway.fanout import continuity, cursor, sse
from gateway.fanout.channel import Channel
from gateway.fanout.connection import Connection
from gateway.fanout.continuity import Snapshot
from gateway.fanout.delivery import Delivery
from gateway.fanout.encoder import Encoder
from gateway.fanout.members import Members
from gateway.fanout.ownership import Owner, new_owners
from gateway.fanout.state import CLOSED
from gateway.metrics.counters import Metrics
from publisher import channels as names
from publisher.envelope import START, Event, MessageError, Position, decode, split
from publisher.job import Job

FLUSH_BATCH: Final = 500
"""Connections written before the event loop gets a turn."""

_UNUSUAL: Final = frozenset(each.encode() for each in (names.CREATED, names.STARTED, *names.TERMINAL_TYPES))
"""Types of events that are more than words to a stream."""


Deliver: TypeAlias = Callable[[Delivery, Collection[Connection]], None]


class Hub:
    """The set of channels and connections of one node."""

    def __init__(
        self,
        metrics: Metrics,
        *,
        later: Callable[[Callable[[], None]], object],
        suspect: Callable[[Channel], None],
        started: Callable[[Event], None] = lambda event: None,
        at_once: int = FLUSH_BATCH,
    ) -> None:
        """``later`` runs a callable at the loop's next turn; ``suspect`` is told of a channel whose chain is broken,
        ``started`` of a job that a worker has taken. ``at_once`` connections are written to in one turn."""
        self.channels: dict[str, Channel] = {}
        self.connections: dict[str, Connection] = {}
        self.members = Members()
        self._metrics = metrics
        self._later = later
        self._suspect = suspect
        self._started = started
        self._at_once = at_once
        self._dirty: deque[Connection] = deque()
        self._round = 0
        self._half_live: set[Connection] = set()
        """Members of some of their channels that are behind on others."""
        self._rounds: deque[tuple[Delivery, Collection[Connection], Iterator[Connection]]] = deque()
        """Deliveries under way past the queues, and who is to get them yet; see :meth:`_deliver_at_once`."""
        self._flushing = False

    # Interest ---

    def channel(self, name: str) -> Channel:
        """The channel of this name, made if it is new."""
        channel = self.channels.get(name)
        if channel is None:
            channel = self.channels[name] = Channel(name)
            self._metrics.channels = len(self.channels)
        channel.idle_since = None
        return channel

    def sweep(self, now: float, linger_s: float) -> list[Channel]:
        """Forget channels that nobody has listened to for ``linger_s``; returns them, so that Redis can be told."""
        gone: list[Channel] = []
        for channel in list(self.channels.values()):
            if channel.keeping:
                channel.cool()
            if channel.size or channel.joiners or channel.watchers:  # as channel.used, for all of them at once
                channel.idle_since = None
            elif channel.idle_since is None:
                channel.idle_since = now
            elif now - channel.idle_since >= linger_s:
                del self.channels[channel.name]
                gone.append(channel)
        self._metrics.channels = len(self.channels)
        return gone

    def admit(self, connection: Connection) -> None:
        """Take in a connection, which is no member of its channels yet."""
        self.connections[connection.id] = connection

    def discard(self, connection: Connection) -> None:
        """Forget a connection; its place is free at once."""
        self._settle_for(connection)
        for channel in connection.channels:
            self.members.remove(channel, connection)
        self._half_live.discard(connection)
        self.connections.pop(connection.id, None)

    # What Redis brings --------------------------------------------------------------------------------------------

    def receive(self, messages: Iterable[tuple[str, bytes]]) -> None:
        """Take in everything that one read brought: (channel, message) in the order of arrival."""
        self._settle()
        arrived: dict[Channel, list[Event]] = {}
        for name, message in messages:
            channel = self.channels.get(name)
            if channel is None:
                continue  # lingering: nobody is here any more
            self._metrics.events_received += 1
            if channel.single is not None and channel not in arrived and self._pass_on(channel, message):
                continue
            try:
                event = decode(name, message)
            except MessageError as error:
                if message:  # else somebody tries out whether he may announce, as the doctor does
                    self._metrics.unreadable.note("message", why=str(error))
                    self._suspect(channel)
                continue
            arrived.setdefault(channel, []).append(event)
            if event.type == names.STARTED:
                self._started(event)
        alone = len(arrived) == 1 and not self._dirty  # who waits in a queue would wait behind all who do not
        deliver = self._deliver_at_once if alone else self._deliver
        for channel, events in arrived.items():
            self._arrive(channel, events, deliver)
            channel.stir()
        self.flush()

    def _pass_on(self, channel: Channel, message: bytes) -> bool:
        """The short way of an event that is for one stream, which hears it as it was published: the same bytes, without
        an :class:`Event` and without what is there for many. False where it has to go the usual way."""
        connection, before, raw = channel.single, channel.position, split(message)
        assert connection is not None and before is not None  # there is a member
        if raw is None or raw.type in _UNUSUAL or channel.keeping or channel.watchers or not raw.follows(before):
            return False
        part = channel.move_past_raw(raw)
        frame = b"%b%b\n%b" % (connection.id_start(channel), part, sse.data_block(raw.data, raw.type))
        self._put(connection, sse.chunk(frame) if connection.chunked else frame, channel, before)
        self._metrics.events_delivered[connection.encoder.name] += 1
        self._metrics.fanned_out((int(raw.time),), 1)
        return True

    def _arrive(self, channel: Channel, events: list[Event], deliver: Deliver) -> None:
        if channel.position is None:
            for event in events:
                channel.keep(event)  # the first joiner is reading the history, and continues with these
            return
        here: Position | Event = channel.position
        accepted: list[Event] = []
        for event in events:
            if event.follows(here):
                accepted.append(event)
                here = event
            else:
                self._suspect(channel)
        if accepted:
            self._fan_out(channel, accepted, deliver)

    def learn(self, channel: Channel, snapshot: Snapshot, asked: Position | None) -> bool:
        """Bring the live members up to what the history says; False where it does not continue what they have.

        ``asked`` is the channel's position when the read was sent: more may have arrived since, so that the
        snapshot may be older than the channel is now, but it can never lack what was delivered before.
        """
        if channel.position is None or asked is None:
            if channel.position is None:
                self._begin(channel, snapshot.top)
            return True
        events = continuity.missed(asked, snapshot)
        if events is None:
            return False
        here = channel.position
        news = [event for event in events if event.seq > here.seq]
        if news and (here.epoch == asked.epoch or asked == START):
            if continuity.chain(here, news, None) is None:
                return False
            self._settle()
            self._fan_out(channel, news, self._deliver)
        return True

    def _begin(self, channel: Channel, top: Position) -> None:
        """The first read of the history: go on with what came between the subscription and it."""
        here = top
        for event in channel.tail:
            if event.follows(here):
                here = event.position
            elif event.seq > here.seq or event.epoch != here.epoch:
                self._suspect(channel)
                break
        channel.move_to(here)

    def reset(self, channel: Channel, snapshot: Snapshot, jobs: list[Job], reason: str) -> None:
        """Live members have missed what cannot be replayed: tell them, and give them the newest state."""
        self._settle()
        self._metrics.resets[reason] += 1
        before, old_part = channel.position, channel.part
        channel.forget_tail()
        channel.move_to(continuity.place_after(snapshot, told=bool(jobs) or not channel.is_job))
        if channel.is_job:
            self._part_with_strangers(channel, [job.owner for job in jobs])
        if channel.jobs_of is not None:
            self._begin_anew(channel, reason, before, old_part)
            return
        for encoder, members in list(self.members.of(channel).items()):
            blocks = reset_blocks(encoder, channel.name, reason, jobs, snapshot.top.seq)
            if blocks is None:
                self._lose(channel, members)
                continue
            frames = encoder.numbered(blocks, old_part, channel.part)
            self._deliver(Delivery(channel, frames, before), members)
        if channel.is_job and jobs and jobs[0].finished:
            self._end(channel)
        self.flush()

    def _begin_anew(self, channel: Channel, reason: str, before: Position | None, old_part: bytes) -> None:
        """A user's jobs may be hundreds, with megabytes of results: each stream tells them by itself, at its peer's
        pace. Its cursor stays where it was until they are told, so that who is cut off begins once more."""
        for encoder, members in list(self.members.of(channel).items()):
            frames = [old_part + b"\n" + block for block in encoder.reset(channel.name, reason) or ()]
            self._deliver(Delivery(channel, frames, before), members)
            for connection in tuple(members):
                connection.anew |= {channel}
                self._leave_behind(connection, channel, before)
        self.flush()

    # Fan-out ---

    def _fan_out(self, channel: Channel, events: list[Event], deliver: Deliver) -> None:
        before = channel.position
        parts = [channel.move_past(event) for event in events]
        if channel.keeping:
            for event in events:
                channel.keep(event)
        ends = channel.is_job and events[-1].type in names.TERMINAL_TYPES
        if channel.is_job:
            self._part_with_strangers(channel, new_owners(events))
        if ends:
            deliver = self._deliver  # who has no room for a job's last event has not ended with it
        concerned = self.members.of(channel)
        if channel.audience is not None:
            concerned = channel.audience.of(events, concerned)
        for encoder, members in list(concerned.items()):
            frames = encoder.frames(parts, events)
            if frames:
                deliver(Delivery(channel, frames, before), members)
                self._metrics.events_delivered[encoder.name] += len(frames) * len(members)
            elif frames is None:
                self._lose(channel, members)
        self._metrics.fanned_out([event.time for event in events], channel.size)
        if ends:
            self._end(channel)

    def _lose(self, channel: Channel, members: Iterable[Connection]) -> None:
        """These cannot go on with what comes next, and hear nothing of it."""
        for connection in tuple(members):
            connection.finish(Closing.LOST)
            self.members.remove(channel, connection)

    def _part_with_strangers(self, channel: Channel, owners: Sequence[Owner]) -> None:
        """``owners`` of the job that the channel's name has come to stand for: who may not read it, hears no more."""
        for members in list(self.members.of(channel).values()) if owners else ():
            for connection in tuple(members):
                if connection.turned_away(channel, owners):
                    # At once, and not when its task says the last words: what comes next is not for it.
                    self.members.remove(channel, connection)

    def _deliver(self, delivery: Delivery, members: Collection[Connection]) -> None:
        """Into each one's queue."""
        for connection in tuple(members):  # who falls behind leaves them
            self._put(connection, delivery.to(connection), delivery.channel, delivery.before)

    def _deliver_at_once(self, delivery: Delivery, members: Collection[Connection]) -> None:
        """The hot path of a broadcast, where nothing else is on its way: past the queues, which would touch each
        connection twice. It is written by :meth:`flush`; whoever is to get something else before has it queued first.

        Not for those who are behind elsewhere: their tasks may say things of their own in between.
        """
        delivery.number = self._round = self._round + 1
        half_live = [each for each in self._half_live if each in members]
        self._deliver(delivery, half_live)
        for connection in half_live:
            connection.heard = delivery.number
        self._rounds.append((delivery, members, iter(tuple(members))))

    def _put(self, connection: Connection, data: bytes, channel: Channel, before: Position | None) -> None:
        """Into the queue of one, to be written with whatever else it gets meanwhile; it came after ``before``."""
        first = connection.push(data)
        if first:
            self._dirty.append(connection)
        elif first is None:
            self._leave_behind(connection, channel, before)

    def _settle(self) -> None:
        """Put into the queues what is on its way past them: places of channels are about to change."""
        while self._rounds:
            delivery, _, left = self._rounds.popleft()
            self._deliver(delivery, [connection for connection in left if connection.heard < delivery.number])

    def _settle_for(self, connection: Connection) -> None:
        """The same for one, which is about to get something else, or to leave."""
        for delivery, members, _ in tuple(self._rounds):
            if connection.heard < delivery.number and connection in members:
                connection.heard = delivery.number
                self._deliver(delivery, [connection])

    def _leave_behind(self, connection: Connection, channel: Channel, before: Position | None) -> None:
        """There is no room for what came after ``before``: it reads on from the history when the peer has caught up.

        It leaves all its channels, not only this one. A cursor has one part per channel, and one event of another
        channel that was queued before the missing one is read would say that it had all of this one.
        """
        assert before is not None  # there is a member
        for each in connection.channels:
            self.members.remove(each, connection)
        self._half_live.discard(connection)
        connection.encoder = connection.encoder.apart()
        connection.fell_behind(channel, before)

    def _end(self, channel: Channel) -> None:
        for members in list(self.members.of(channel).values()):
            for connection in tuple(members):
                connection.channel_ended(channel)

    # Writing ---

    def queue(self, connection: Connection, data: bytes) -> None:
        """Give one connection bytes of its own (greetings, replays, heartbeats)."""
        self._settle_for(connection)
        if connection.push(data, must=True):
            self._dirty.append(connection)

    def flush(self) -> None:
        """Write what is waiting, some connections now and the rest at the loop's next turns.

        While some are left, nothing is written here: who is in ``_dirty`` already would be passed over by those who
        came later, and one turn of the loop would be as long as all that Redis brings. A connection stands in it at
        most once, because only the first bytes of an empty queue put it there.
        """
        if not self._flushing:
            self._write_some()

    def _write_some(self) -> None:
        room, dirty = self._at_once, self._dirty
        while self._rounds and room > 0:
            room -= self._write_round(room)
        for _ in range(min(room, len(dirty))):
            dirty.popleft().write_pending()
        self._flushing = bool(dirty or self._rounds)
        if self._flushing:
            self._later(self._write_some)

    def _write_round(self, most: int) -> int:
        """Some of the first of the deliveries under way; returns to how many it went. What it looks at of a connection
        is little, and mostly the same object for all: each other one is a wait for the memory."""
        delivery, _, left = self._rounds[0]
        channel, number = delivery.channel, delivery.number
        start, chunked, data = b"", False, b""
        some = list(islice(left, most))
        for connection in some:
            if connection.heard < number:
                connection.heard = number
                own = connection.id_start(channel)
                if own is not start or connection.chunked is not chunked:  # mostly it is that of the one before
                    start, chunked = own, connection.chunked
                    data = delivery.behind(start, chunked)
                if connection.queued or connection.paused or connection.state is CLOSED:
                    self._put(connection, data, channel, delivery.before)
                else:
                    connection.written += len(data)
                    connection.peer.write(data)
        if len(some) < most:
            self._rounds.popleft()
        return len(some)

    # Splicing ---

    def join(self, connection: Connection, channel: Channel) -> None:
        """Make a connection a live member of one of its channels, of which it has everything up to the channel's own
        position: one event less, and it would never get it; one more, and it would get it twice. So nothing may run
        between the look at what it lacks and this."""
        if connection.behind[channel] != channel.position:
            self._meet(channel, connection.behind[channel])
        connection.encoder = connection.encoder.together(self.members.of(channel))
        self.members.add(channel, connection)
        connection.caught_up(channel)
        connection.heard = self._round
        self._half_live.add(connection) if connection.behind else self._half_live.discard(connection)

    def _meet(self, channel: Channel, place: Position) -> None:
        """A stream that stands at ``place`` goes live where its channel is, or not at all; but where no event is yet,
        one of them may wait for a state in front of the first."""
        here = channel.position
        assert here is not None and continuity.no_events_between(here, place), (
            "A stream goes live where its channel is, or not at all."
        )
        self._settle()
        channel.move_to(cursor.UNKNOWN)

    def tell_all(self, blocks_of: Callable[[Encoder], list[bytes]]) -> None:
        """Say the same to every connection (degraded, recovered), without an id."""
        cache: dict[Encoder, list[bytes]] = {}
        for connection in list(self.connections.values()):
            blocks = cache.get(connection.encoder)
            if blocks is None:
                blocks = cache[connection.encoder] = blocks_of(connection.encoder)
            if blocks:
                self.queue(connection, connection.framed(blocks))
        self.flush()


def reset_blocks(encoder: Encoder, channel: str, reason: str, jobs: list[Job], seq: int) -> list[bytes] | None:
    """What a stream hears when events were missed that cannot be replayed; None where it cannot go on."""
    blocks = encoder.reset(channel, reason)
    if blocks is None:
        return None
    for job in jobs:
        anew = encoder.renewed(job, seq)
        if anew is None:
            return None
        blocks += anew
    return blocks

"""Who listens to what on this node, and the fan-out. No await, no I/O: time and sockets come from outside.

Everything that one read from Redis brought is taken in one step, and each connection gets it as one piece. A member
of a channel is *live*: it has everything up to the channel's position. Whoever is not goes through the history until
it can be spliced in. An event that does not continue the channel's chain is never delivered; its channel is named in
``suspects``, and the reconciler finds out what is missing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from gateway import continuity, sse
from gateway.access import Owner
from gateway.channel import Channel
from gateway.connection import Connection
from gateway.continuity import Snapshot
from gateway.cursor import part
from gateway.encoder import Encoder
from gateway.metrics import Metrics
from gateway.ownership import new_owners
from publisher import channels as names
from publisher.envelope import START, Event, MessageError, Position, decode
from publisher.job import Job

FLUSH_BATCH: Final = 500
"""Connections written before the event loop gets a turn."""


class Hub:
    """The set of channels and connections of one node."""

    def __init__(
        self,
        metrics: Metrics,
        *,
        later: Callable[[Callable[[], None]], object],
        suspect: Callable[[Channel], None] = lambda channel: None,
        wanted: Callable[[Channel], None] = lambda channel: None,
    ) -> None:
        """``later`` runs a callable at the loop's next turn; ``suspect`` is told of a channel whose chain is broken;
        ``wanted`` of a channel that has just got its first listener."""
        self.channels: dict[str, Channel] = {}
        self.connections: dict[str, Connection] = {}
        self._metrics = metrics
        self._later = later
        self._suspect = suspect
        self._wanted = wanted
        self._dirty: deque[Connection] = deque()
        self._flushing = False

    # Interest ---

    def channel(self, name: str) -> Channel:
        """The channel of this name, made and wanted from Redis if it is new."""
        channel = self.channels.get(name)
        if channel is None:
            channel = self.channels[name] = Channel(name)
            self._wanted(channel)
        channel.idle_since = None
        return channel

    def sweep(self, now: float, linger_s: float) -> list[Channel]:
        """Forget channels that nobody has listened to for ``linger_s``; returns them, so that Redis can be told."""
        gone: list[Channel] = []
        for channel in list(self.channels.values()):
            channel.cool()
            if channel.used or channel.watchers:
                channel.idle_since = None
            elif channel.idle_since is None:
                channel.idle_since = now
            elif now - channel.idle_since >= linger_s:
                del self.channels[channel.name]
                gone.append(channel)
        return gone

    def discard(self, connection: Connection) -> None:
        """Forget a connection; its place is free at once."""
        for channel in connection.channels:
            channel.remove(connection)
        self.connections.pop(connection.id, None)

    # What Redis brings --------------------------------------------------------------------------------------------

    def receive(self, messages: Iterable[tuple[str, bytes]]) -> None:
        """Take in everything that one read brought: (channel, message) in the order of arrival."""
        arrived: dict[Channel, list[Event]] = {}
        for name, message in messages:
            channel = self.channels.get(name)
            if channel is None:
                continue  # lingering: nobody is here any more
            self._metrics.events_received += 1
            try:
                event = decode(name, message)
            except MessageError as error:
                self._metrics.unreadable(name, error)
                self._suspect(channel)
                continue
            arrived.setdefault(channel, []).append(event)
        for channel, events in arrived.items():
            self._arrive(channel, events)
            channel.stir()
        self.flush()

    def _arrive(self, channel: Channel, events: list[Event]) -> None:
        if channel.position is None:
            for event in events:
                channel.keep(event)  # the first joiner is reading the history, and continues with these
            return
        here = channel.position
        accepted: list[Event] = []
        for event in events:
            if event.follows(here):
                accepted.append(event)
                here = event.position
            else:
                self._suspect(channel)
        if accepted:
            self._fan_out(channel, accepted)

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
            self._fan_out(channel, news)
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
        self._metrics.resets[reason] += 1
        before, old_part = channel.position, channel.part
        channel.forget_tail()
        channel.move_to(snapshot.top)
        if channel.is_job:
            self._part_with_strangers(channel, [job.owner for job in jobs])
        for encoder, members in list(channel.members.items()):
            blocks = reset_blocks(encoder, channel.name, reason, jobs, snapshot.top.seq)
            # Only the last of them moves the cursor: who is cut off in between is told all of it again.
            parts = [old_part] * (len(blocks) - 1) + [channel.part]
            frames = [part + b"\n" + block for part, block in zip(parts, blocks, strict=False)]
            self._deliver(channel, members, frames, before)
        if channel.is_job and jobs and jobs[0].finished:
            self._end(channel)
        self.flush()

    # Fan-out ---

    def _fan_out(self, channel: Channel, events: list[Event]) -> None:
        before = channel.position
        channel.move_to(events[-1].position)
        parts = [part(channel.tag, event.position) + b"\n" for event in events]
        for event in events if channel.keeping else ():
            channel.keep(event)
        if channel.is_job:
            self._part_with_strangers(channel, new_owners(events))
        for encoder, members in list(channel.members.items()):
            frames = [
                event_part + block
                for event_part, event in zip(parts, events, strict=True)
                if (block := encoder.event(event)) is not None
            ]
            if frames:
                self._deliver(channel, members, frames, before)
                self._metrics.events_delivered[encoder.name] += len(frames) * len(members)
        self._metrics.fanned_out(events, channel.size)
        if channel.is_job and events[-1].type in names.TERMINAL_TYPES:
            self._end(channel)

    def _part_with_strangers(self, channel: Channel, owners: Sequence[Owner]) -> None:
        """``owners`` of the job that the channel's name has come to stand for: who may not read it, hears no more."""
        for members in list(channel.members.values()) if owners else ():
            for connection in tuple(members):
                if connection.turned_away(channel, owners):
                    channel.remove(connection)

    def _deliver(
        self, channel: Channel, members: Iterable[Connection], frames: list[bytes], before: Position | None
    ) -> None:
        """The hot path: ``frames`` lack only the beginning of their id line, which most connections share."""
        shared: dict[tuple[bytes, bool], bytes] = {}
        dirty = self._dirty
        for connection in tuple(members):
            start = connection.id_start(channel)
            key = (start, connection.chunked)
            data = shared.get(key)
            if data is None:
                whole = [start + frame for frame in frames]
                data = shared[key] = sse.framed(whole) if connection.chunked else b"".join(whole)
            if connection.push(data):
                dirty.append(connection)
            elif connection.overflowed:
                connection.fall_behind(channel, before)  # reads on from the history when the peer has caught up

    def _end(self, channel: Channel) -> None:
        for members in list(channel.members.values()):
            for connection in tuple(members):
                connection.channel_ended(channel)

    # Writing ---

    def queue(self, connection: Connection, data: bytes) -> None:
        """Give one connection bytes of its own (greetings, replays, heartbeats)."""
        if connection.push(data, must=True):
            self._dirty.append(connection)

    def flush(self) -> None:
        """Write what is waiting, some connections now and the rest at the loop's next turns."""
        if not self._flushing:
            self._write_some()

    def _write_some(self) -> None:
        dirty = self._dirty
        for _ in range(min(FLUSH_BATCH, len(dirty))):
            dirty.popleft().write_pending()
        self._flushing = bool(dirty)
        if self._flushing:
            self._later(self._write_some)

    # Splicing ---

    def splice(self, connection: Connection, channel: Channel, position: Position) -> list[Event] | None:
        """Make a connection that has everything up to ``position`` live.

        Returns the events it still lacks (already counted as delivered to it), or None where the history has to be
        read again.
        """
        lacking = channel.since(position)
        if lacking is not None:
            channel.add(connection)
        return lacking

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


def reset_blocks(encoder: Encoder, channel: str, reason: str, jobs: list[Job], seq: int) -> list[bytes]:
    """What a stream hears when events were missed that cannot be replayed."""
    blocks = encoder.reset(channel, reason)
    for job in jobs:
        blocks += encoder.state(job, seq)
    return blocks

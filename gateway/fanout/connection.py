"""One browser's stream: its channels, its place in each, and the bytes that wait for it. No await."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from gateway.closing import Closing
from gateway.fanout import cursor, sse
from gateway.fanout.channel import Channel
from gateway.fanout.encoder import Encoder
from gateway.fanout.ownership import Owner
from gateway.fanout.state import BEHIND, CLOSED, ENDING, LIVE, OPENING, State, after
from publisher.envelope import Position

NO_CHANNELS: Final[frozenset[Channel]] = frozenset()
"""One for all: Python makes each empty set anew, and three of them are a tenth of what an idle stream takes."""


class Peer(Protocol):
    """The socket's side of a connection."""

    def write(self, data: bytes) -> None: ...

    def unsent(self) -> int:
        """Bytes that the transport has taken and the kernel has not."""

    def abort(self) -> None: ...


class Connection:
    """``state`` says where the stream stands in its life, and is changed here alone, as
    :class:`~gateway.fanout.state.State` allows; ``closing`` is why it ends.

    ``wake`` is called when the stream's own task has something to do: catch up, end, or forget it all. ``admits`` says
    whether a job's channel may be read when the job is this owner's.
    """

    __slots__ = (
        "__weakref__",
        "admits",
        "anew",
        "behind",
        "channels",
        "chunked",
        "closing",
        "deadline",
        "encoder",
        "ended",
        "first",
        "heard",
        "id",
        "last",
        "limit",
        "opened_at",
        "paused",
        "peer",
        "queued",
        "state",
        "stuck_bytes",
        "stuck_since",
        "subject",
        "untold",
        "waiting",
        "wake",
        "width",
        "written",
    )

    def __init__(
        self,
        connection_id: str,
        encoder: Encoder,
        peer: Peer,
        channels: Sequence[Channel],
        *,
        limit: int,
        chunked: bool,
        subject: str | None,
        admits: Callable[[str, Owner], bool],
        wake: Callable[[], None],
        now: float,
    ) -> None:
        self.id = connection_id
        self.encoder = encoder
        self.peer = peer
        self.channels = channels
        # On the hot path each look at a list is a wait for the memory.
        self.first, self.last, self.width = channels[0], channels[-1], len(channels)
        self.limit = limit
        self.chunked = chunked
        self.subject = subject
        self.admits = admits
        self.wake = wake
        self.opened_at = now
        self.state = OPENING
        self.closing: Closing | None = None
        self.behind: dict[Channel, Position] = {}
        """Channels of which it is no live member, and what it has of them."""
        self.untold: frozenset[Channel] = NO_CHANNELS
        """Channels whose states are still on their way to a fresh stream: its cursors say so."""
        self.anew: frozenset[Channel] = NO_CHANNELS
        """Channels of a user whose jobs are to be told once more, finished ones too: events were missed for good."""
        self.ended: frozenset[Channel] = NO_CHANNELS
        self.heard = 0
        """The number of the last delivery past its queue."""
        self.waiting: list[bytes] = []
        self.queued = 0
        self.paused = False
        self.stuck_since: float | None = None
        self.stuck_bytes = 0
        self.deadline: tuple[float, Closing] | None = None
        self.written = 0

    # Where it stands ------------------------------------------------------------------------------------------------

    def id_start(self, channel: Channel) -> bytes:
        """The beginning of the id line of an event on ``channel``: the parts of all other channels."""
        first, last = self.first, self.last
        if first is last:
            return self.encoder.id_start
        if self.state is LIVE or not (self.behind or self.untold):
            if self.width == 2:
                other = last if channel is first else first
                return other.start_elsewhere or other.made_start()
            return sse.ID + b"".join([other.elsewhere + b"," for other in self.channels if other is not channel])
        return sse.ID + b"".join([self.part(other) + b"," for other in self.channels if other is not channel])

    def id_line(self) -> bytes:
        """An id line that says where the connection stands now on all its channels."""
        return sse.ID + b",".join([self.part(channel) for channel in self.channels]) + b"\n"

    def part(self, channel: Channel) -> bytes:
        """What ends the id line of what is said of this channel, without a line break."""
        position = self.behind.get(channel)
        part = channel.part if position is None else cursor.part(channel.tag, position)
        return part + cursor.UNTOLD if channel in self.untold else part

    # Its life: see State ---

    def begun(self) -> None:
        """The first words are queued. A stream that is to end already goes on to its last ones."""
        if self.state is OPENING:
            self._become(BEHIND if self.behind else LIVE)

    def fell_behind(self, channel: Channel, before: Position) -> None:
        """The hub has taken it from the members of all its channels, because it has no room for what came after
        ``before`` on ``channel``. Where it stands on the others is written down now: once they go on without it,
        nobody could tell any more."""
        for other in self.channels:
            if other not in self.behind:
                position = before if other is channel else other.position
                assert position is not None
                self.behind[other] = position
        if self.state is LIVE:
            self._become(BEHIND)
        self.wake()

    def caught_up(self, channel: Channel) -> None:
        """The hub has made it a member of ``channel``."""
        del self.behind[channel]
        if not self.behind:
            self.behind = {}  # one that has held something keeps the room for it
            if self.state is BEHIND:
                self._become(LIVE)

    def told(self, channel: Channel) -> None:
        """The states of ``channel`` are queued."""
        self.untold = (self.untold - {channel}) or NO_CHANNELS

    def told_anew(self, channel: Channel) -> None:
        """The user's jobs are told once more."""
        self.anew = (self.anew - {channel}) or NO_CHANNELS

    def is_ending(self) -> bool:
        """Whether the stream has been told to end, or has ended."""
        return self.closing is not None

    def channel_ended(self, channel: Channel) -> None:
        """A job on this stream has ended; the stream ends with the last of them."""
        self.ended |= {channel}
        if len(self.ended) == len(self.channels):
            self.finish(Closing.FINISHED)

    def turned_away(self, channel: Channel, owners: Iterable[Owner]) -> bool:
        """End the stream if the channel's job has got an owner whose jobs it may not read; whether it did."""
        if all(self.admits(channel.name, owner) for owner in owners):
            return False
        self.finish(Closing.FORBIDDEN)
        return True

    def finish(self, closing: Closing) -> None:
        """End the stream for this reason; the first reason counts."""
        if self.closing is None:
            self.closing = closing
            self._become(ENDING)
            self.wake()

    def close(self, closing: Closing) -> None:
        """It is over, for this reason if it has not been told to end for another. Drops what waits, and forgets the
        stream, which holds this connection: closed ones should go at once, without a collector."""
        if self.state is CLOSED:
            return
        self.closing = self.closing or closing
        self._become(CLOSED)
        self.waiting.clear()
        self.queued = 0
        self.wake, wake = _nothing, self.wake
        self.admits = _nobody
        wake()

    def _become(self, state: State) -> None:
        self.state = after(self.state, state)

    def on_intrusion(self) -> None:
        """The client sends something while it should listen."""
        self.finish(Closing.PROTOCOL)

    def on_lost(self) -> None:
        """The socket is gone, also under a stream that is ending already: its place is free at once."""
        self.close(Closing.GONE)

    # Bytes ---

    def framed(self, frames: list[bytes]) -> bytes:
        """Complete events, as this connection's HTTP version wants them."""
        return sse.framed(frames) if self.chunked else b"".join(frames)

    def push(self, data: bytes, *, must: bool = False) -> bool | None:
        """Queue bytes. True: they are the first, and the caller has to see to it that :meth:`write_pending` is called.
        None: nothing was taken, because the queue is full; with ``must`` it takes them all the same (a page of the
        history, which is read only when the queue is empty)."""
        if self.state is CLOSED:
            return False
        if not must and self.queued + len(data) + (self.peer.unsent() if self.paused else 0) > self.limit:
            self.write_pending()
            if self.paused:
                return None
        first = not self.waiting
        self.waiting.append(data)
        self.queued += len(data)
        return first and not self.paused

    def write_pending(self) -> None:
        """Hand everything queued to the socket in one write, if it takes any."""
        waiting = self.waiting
        if not waiting or self.paused:  # nothing waits in a closed one
            return
        data = waiting[0] if len(waiting) == 1 else b"".join(waiting)
        self.waiting = []
        self.queued = 0
        self.written += len(data)
        self.peer.write(data)

    def pause(self) -> None:
        """The transport's buffer is full."""
        self.paused = True

    def resume(self) -> None:
        """The peer has taken what the transport held."""
        self.paused = False
        self.stuck_since = None
        self.write_pending()
        if not self.paused and (self.behind or self.closing is not None):
            self.wake()

    def is_stuck(self, now: float, timeout: float) -> bool:
        """Whether the peer has accepted nothing at all for ``timeout`` seconds."""
        if not self.paused:
            self.stuck_since = None
            return False
        unsent = self.peer.unsent()
        if self.stuck_since is None or unsent < self.stuck_bytes:
            self.stuck_since, self.stuck_bytes = now, unsent
            return False
        return now - self.stuck_since >= timeout


def _nothing() -> None:
    pass


def _nobody(channel: str, owner: Owner) -> bool:
    return False

"""One browser's stream: its channels, its place in each, and the bytes that wait for it. No await."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from gateway import cursor, sse
from gateway.closing import Closing
from publisher.envelope import Position

if TYPE_CHECKING:
    from gateway.access import Owner
    from gateway.channel import Channel
    from gateway.encoder import Encoder


class Peer(Protocol):
    """The socket's side of a connection."""

    def write(self, data: bytes) -> None: ...

    def unsent(self) -> int:
        """Bytes that the transport has taken and the kernel has not."""

    def abort(self) -> None: ...


class Connection:
    """``wake`` is called when the stream's own task has something to do: catch up, or end. ``admits`` says whether a
    job's channel may be read when the job is this owner's."""

    __slots__ = (
        "__weakref__",
        "admits",
        "behind",
        "channels",
        "chunked",
        "client",
        "closing",
        "deadline",
        "encoder",
        "ended",
        "id",
        "limit",
        "lost",
        "opened_at",
        "overflowed",
        "paused",
        "peer",
        "queued",
        "stuck_bytes",
        "stuck_since",
        "subject",
        "untold",
        "waiting",
        "wake",
        "written",
    )

    def __init__(
        self,
        connection_id: str,
        encoder: Encoder,
        peer: Peer,
        *,
        limit: int,
        wake: Callable[[], None] = lambda: None,
        chunked: bool = True,
        subject: str | None = None,
        client: str | None = None,
        admits: Callable[[str, Owner], bool] = lambda channel, owner: True,
        now: float = 0.0,
    ) -> None:
        self.id = connection_id
        self.encoder = encoder
        self.peer = peer
        self.chunked = chunked
        self.limit = limit
        self.wake = wake
        self.admits = admits
        self.channels: list[Channel] = []
        self.behind: dict[Channel, Position] = {}
        self.untold: frozenset[Channel] = frozenset()
        self.ended: frozenset[Channel] = frozenset()
        self.waiting: list[bytes] = []
        self.queued = 0
        self.paused = False
        self.overflowed = False
        self.closing: Closing | None = None
        self.lost = False
        self.subject = subject
        self.client = client
        self.opened_at = now
        self.stuck_since: float | None = None
        self.stuck_bytes = 0
        self.deadline: tuple[int, Closing] | None = None
        self.written = 0

    # Where it stands ------------------------------------------------------------------------------------------------

    def id_start(self, channel: Channel) -> bytes:
        """The beginning of the id line of an event on ``channel``: the parts of all other channels."""
        if len(self.channels) == 1:
            return sse.ID
        return sse.ID + b"".join([self._part(other) + b"," for other in self.channels if other is not channel])

    def id_line(self) -> bytes:
        """An id line that says where the connection stands now on all its channels."""
        return sse.ID + b",".join([self._part(channel) for channel in self.channels]) + b"\n"

    def _part(self, channel: Channel) -> bytes:
        position = self.behind.get(channel)
        part = channel.part if position is None else cursor.part(channel.tag, position)
        return part + cursor.UNTOLD if channel in self.untold else part

    def fall_behind(self, channel: Channel, before: Position | None) -> None:
        """The queue is full: leave the live members. The stream's task reads the rest from the history once the
        peer has taken what is queued. ``before`` is the last position on ``channel`` that was queued."""
        for other in self.channels:
            if other not in self.behind:
                position = before if other is channel else other.position
                assert position is not None
                self.behind[other] = position
                other.remove(self)
        self.overflowed = False
        self.wake()

    def is_ending(self) -> bool:
        """Whether the stream has been told to end."""
        return self.closing is not None

    def channel_ended(self, channel: Channel) -> None:
        """A job on this stream has ended; the stream ends with the last of them."""
        self.ended |= {channel}
        if len(self.ended) == len(self.channels):
            self.finish(Closing.FINISHED)

    def let_go(self) -> None:
        """Forget the stream, which holds this connection: closed ones should go at once, without a collector."""
        self.wake = _nothing
        self.admits = _nobody

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
            self.wake()

    def on_intrusion(self) -> None:
        """The client sends something while it should listen."""
        self.finish(Closing.PROTOCOL)

    def on_lost(self) -> None:
        """The socket is gone."""
        self.lost = True
        self.waiting.clear()
        self.queued = 0
        self.finish(Closing.GONE)
        self.wake()  # also a stream that is ending already: its place is free at once

    # Bytes ---

    def framed(self, frames: list[bytes]) -> bytes:
        """Complete events, as this connection's HTTP version wants them."""
        return sse.framed(frames) if self.chunked else b"".join(frames)

    def push(self, data: bytes, *, must: bool = False) -> bool:
        """Queue bytes. True: the caller has to see to it that :meth:`write_pending` is called.

        A full queue takes nothing more and sets ``overflowed``; with ``must`` it takes them all the same (a page of
        the history, which is read only when the queue is empty).
        """
        if self.lost:
            return False
        if not must and self.queued + len(data) + (self.peer.unsent() if self.paused else 0) > self.limit:
            self.write_pending()
            if self.paused:
                self.overflowed = True
                return False
        first = not self.waiting
        self.waiting.append(data)
        self.queued += len(data)
        return first and not self.paused

    def write_pending(self) -> None:
        """Hand everything queued to the socket in one write, if it takes any."""
        waiting = self.waiting
        if not waiting or self.paused or self.lost:
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

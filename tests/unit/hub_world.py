"""What the tests of the pure core share: events in a chain, a peer that takes or refuses bytes, a plain encoder."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import ClassVar

from gateway.fanout import sse
from gateway.fanout.channel import Channel
from gateway.fanout.connection import Connection
from gateway.fanout.encoder import Encoder
from gateway.fanout.hub import FLUSH_BATCH, Hub
from gateway.metrics.counters import Metrics
from publisher.envelope import NO_MARK, Event, Position, encode
from publisher.job import Job

EPOCH = "abcdefgh"


class PlainEncoder(Encoder):
    name: ClassVar[str] = "plain"

    def __init__(self, *, verbatim: bool = True) -> None:
        self.verbatim = verbatim

    def state(self, job: Job, seq: int) -> list[bytes]:
        return [sse.json_block({"state": job.status})]

    def event(self, event: Event) -> bytes | None:
        return sse.data_block(event.data, event.type.encode())

    def reset(self, channel: str, reason: str) -> list[bytes]:
        return [sse.json_block({"reset": channel, "reason": reason})]


class FakeSocket:
    """A peer; ``full`` makes it take nothing more until told."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.pause_after: int | None = None
        self.on_full: Callable[[], None] = lambda: None
        self.aborted = False

    def write(self, data: bytes) -> None:
        self.written.append(data)
        if self.pause_after is not None and len(b"".join(self.written)) > self.pause_after:
            self.on_full()

    def unsent(self) -> int:
        return 0

    def abort(self) -> None:
        self.aborted = True

    @property
    def text(self) -> str:
        return b"".join(self.written).decode()


class World:
    """A hub with hand-driven time: ``turn()`` is all of the loop's next turns, ``one_turn()`` the first of them. Its
    streams speak ``encoder``, and ``at_once`` of them are written to in a turn."""

    def __init__(self, encoder: Encoder | None = None, *, at_once: int = FLUSH_BATCH) -> None:
        self.encoder = encoder or PLAIN
        self.later: deque[Callable[[], None]] = deque()
        self.suspects: list[str] = []
        self.metrics = Metrics("test")
        self.hub = Hub(
            self.metrics,
            later=self.later.append,
            suspect=lambda c: self.suspects.append(c.name),
            at_once=at_once,
        )

    def turn(self) -> None:
        while self.later:
            self.later.popleft()()

    def one_turn(self) -> None:
        for _ in range(len(self.later)):
            self.later.popleft()()

    def channel(self, name: str, position: Position) -> Channel:
        channel = self.hub.channel(name)
        channel.move_to(position)
        return channel

    def connect(
        self,
        *channels: Channel,
        limit: int = 100_000,
        chunked: bool = False,
        wake: Callable[[], None] = lambda: None,
    ) -> tuple[Connection, FakeSocket]:
        """A live stream on these channels."""
        connection, socket = self.opening(*channels, limit=limit, chunked=chunked, wake=wake)
        for channel in channels:
            assert channel.position is not None
            connection.behind[channel] = channel.position
            self.hub.join(connection, channel)
        connection.begun()
        return connection, socket

    def opening(
        self,
        *channels: Channel,
        limit: int = 100_000,
        chunked: bool = False,
        wake: Callable[[], None] = lambda: None,
    ) -> tuple[Connection, FakeSocket]:
        """A stream that is no member of its channels yet."""
        socket = FakeSocket()
        connection = Connection(
            f"c{len(self.hub.connections)}",
            self.encoder,
            socket,
            channels,
            limit=limit,
            chunked=chunked,
            subject=None,
            admits=lambda channel, owner: True,
            wake=wake,
            now=0.0,
        )
        socket.on_full = connection.pause
        self.hub.admit(connection)
        return connection, socket

    def receive(self, *events: Event) -> None:
        self.begin(*events)
        self.turn()

    def begin(self, *events: Event) -> None:
        """Receive them, and write to as many as are written to at once."""
        self.hub.receive([(event.channel, encode(event)) for event in events])


PLAIN = PlainEncoder()


def mark(seq: int, history: str = "m") -> str:
    return f"{history}{seq:05d}"


def at(seq: int, history: str = "m") -> Position:
    return Position(EPOCH, seq, mark(seq, history))


def event(channel: str, seq: int, *, type: str = "tick", history: str = "m", data: bytes | None = None) -> Event:
    """The event with this number in the one true chain of ``history``."""
    prev = NO_MARK if seq == 1 else mark(seq - 1, history)
    return Event(channel, EPOCH, seq, mark(seq, history), prev, 0, type, data or b"%d" % seq)


def events(channel: str, first: int, last: int, *, history: str = "m") -> list[Event]:
    return [event(channel, seq, history=history) for seq in range(first, last + 1)]

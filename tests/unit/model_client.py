"""A browser that checks what it is told: every event once and in order, or a reset and the newest state."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Self

from starlette.types import Send

from gateway.fanout import cursor
from gateway.fanout.connection import Connection
from gateway.fanout.sse import MAX_CHUNK
from gateway.streams.stream import COMMENT
from publisher.channels import job_id_of
from tests.support.chunks import dechunk
from tests.support.sse_parser import SseEvent, SseParser
from tests.unit.model_redis import TERMINAL, ModelRedis

QUIET: Final = "quiet"
"""The type of events that the encoder has no word for."""


class ModelSocket:
    """The peer of a connection. ``room`` bytes vanish in its buffers; more make it pause until :meth:`drain`."""

    def __init__(self, room: int, chunked: bool) -> None:
        self.room = room
        self.chunked = chunked
        self.statuses: list[int] = []
        self.ended = False
        self.aborted = False
        self._stream: Connection | None = None
        self._held = 0
        self._parser = SseParser()
        self.inbox: list[SseEvent] = []

    async def head(self, start: Callable[[Send], Awaitable[None]], send: Send) -> bytes:
        await start(send)
        return b""

    def hand_over(self) -> tuple[Self, bool]:
        return self, False

    def attach(self, stream: Connection) -> None:
        self._stream = stream

    def end(self) -> None:
        """The response is complete."""
        self._stream = None
        self.ended = True

    def write(self, data: bytes) -> None:
        self._held += len(data)
        for chunk in dechunk(data) if self.chunked else [data]:
            assert chunk.endswith((b"\n\n", COMMENT)) and (not self.chunked or len(chunk) <= MAX_CHUNK)
            self.inbox += self._parser.feed(chunk)
        if self._held > self.room and self._stream is not None:
            self._stream.pause()

    def unsent(self) -> int:
        return self._held

    def abort(self) -> None:
        self.aborted = True
        self.lose()

    def break_off(self) -> None:
        """The response ends so that its reader knows it to be incomplete."""
        self.abort()

    def drain(self) -> None:
        """The peer takes everything that was written."""
        self._held = 0
        if self._stream is not None and self._stream.paused:
            self._stream.resume()

    def lose(self) -> None:
        """The connection breaks."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.on_lost()


class ModelClient:
    """``known`` holds the mark of the last event of each channel, None where a state or a reset has to come first."""

    def __init__(self, redis: ModelRedis, channels: tuple[str, ...]) -> None:
        self.redis = redis
        self.channels = channels
        self.known: dict[str, str | None] = dict.fromkeys(channels)
        self.cursor = ""
        self.memory: list[tuple[str, dict[str, str | None], set[str]]] = []
        self.seen: set[str] = set()
        self.socket: ModelSocket | None = None
        self.told_all = False
        self._of_tag: Final = {cursor.tag(name): name for name in channels}

    # Connecting ---

    def begin(self, socket: ModelSocket, cursor_text: str | None = None) -> str:
        """Take a connection; returns the Last-Event-ID to send. Another one than its own is a bad cursor."""
        self.socket = socket
        self.told_all = False
        if cursor_text is not None:
            self.cursor = cursor_text
        if not self.cursor or cursor_text is not None:
            self.known = dict.fromkeys(self.channels)
            self.seen.clear()
        return self.cursor

    def go_back(self, number: int) -> None:
        """Forget everything since an earlier moment, as a page does that was restored from a cache."""
        if self.memory:
            self.cursor, known, seen = self.memory[number % len(self.memory)]
            self.known, self.seen = dict(known), set(seen)

    def cut(self, number: int) -> None:
        """The connection breaks after so many of the events that are under way."""
        assert self.socket is not None
        self.read(number)
        self.socket.inbox.clear()
        self.socket.lose()

    def leave(self) -> None:
        """The connection has ended and everything was read."""
        self.socket = None

    # Reading ---

    def read(self, number: int = 1_000_000) -> None:
        assert self.socket is not None
        now, self.socket.inbox = self.socket.inbox[:number], self.socket.inbox[number:]
        for event in now:
            self._take(event)
            self.cursor = event.last_event_id
            self._check_cursor(event)
            self.memory.append((self.cursor, dict(self.known), set(self.seen)))

    def _take(self, event: SseEvent) -> None:
        handlers: dict[str, Callable[[SseEvent], None]] = {
            "stream.open": self._opened,
            "stream.reset": self._reset,
            "stream.close": self._closed,
            "job.state": self._state,
        }
        handlers.get(event.type, self._event)(event)

    def _opened(self, event: SseEvent) -> None:
        if not self.cursor:
            for name, position in self._places(event).items():
                if job_id_of(name) is None:
                    self.known[name] = position

    def _reset(self, event: SseEvent) -> None:
        name = event.json()["channel"]
        assert self.redis.channels[name].damaged or self.known[name] is None, f"a reset without a reason: {event}"
        self.known[name] = None if job_id_of(name) is not None else self._places(event)[name]

    def _state(self, event: SseEvent) -> None:
        (name,) = [name for name in self.channels if job_id_of(name) == event.json()["job_id"]]
        mark = self._places(event)[name]
        newest = event.json()["current"] >= self.redis.events[mark].seq or self.redis.channels[name].damaged
        assert newest, "a state that is older than its cursor"
        self.known[name] = mark

    def _event(self, event: SseEvent) -> None:
        mark = event.json()["mark"]
        told = self.redis.events[mark]
        before = self.known[told.channel]
        assert mark not in self.seen, f"told twice: {told}"
        assert before is not None, f"told before the state: {told}"
        assert self.redis.quiet_between(before, told.prev, QUIET), f"a gap between {before} and {told}"
        self.seen.add(mark)
        self.known[told.channel] = mark

    def _closed(self, event: SseEvent) -> None:
        self.told_all = event.json()["reason"] == "finished"

    def _places(self, event: SseEvent) -> dict[str, str]:
        places = cursor.places(event.last_event_id, self._of_tag)
        return {self._of_tag[tag]: position.mark for tag, position in places.items()}

    def _check_cursor(self, event: SseEvent) -> None:
        """A resume from here must lack nothing of what this client has, and bring nothing of it again."""
        places = self._places(event)
        for name, mark in self.known.items():
            if mark is not None:
                assert self.redis.quiet_between(mark, places[name], QUIET), f"{event} does not say {name} is at {mark}"

    # At rest ---

    def check_complete(self) -> None:
        """Everything that is in Redis has arrived; who was told that the job has ended knows how."""
        if self.told_all:
            (mark,) = self.known.values()
            assert mark is not None and self.redis.events[mark].type == TERMINAL
            return
        for name, mark in self.known.items():
            assert mark is not None, f"{name} is still without a state"
            top = self.redis.channels[name].top
            assert self.redis.quiet_between(mark, top.mark, QUIET), f"{name} stopped at {mark}"

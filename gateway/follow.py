"""Follows an event stream over HTTP: resumes where it broke off, and knows when it is over."""

from __future__ import annotations

import http.client
import json
import random
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from email.message import Message
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from gateway.sse_reader import StreamEvent, StreamReader, StreamTooLarge

CONNECT_S: Final = 10.0
SILENCE_S: Final = 60.0
"""A stream without even a heartbeat for this long is taken for dead and opened anew."""
FIRST_PAUSE_S: Final = 1.0
MAX_PAUSE_S: Final = 30.0
TEMPORARY: Final = frozenset({408, 429, 502, 503, 504})


class FollowError(Exception):
    """The stream cannot be followed; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something about the connection that a user may want to know."""

    sentence: str


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Message
    chunks: Iterator[bytes]


@dataclass
class Follower:
    """Iterate over it: events and notes, over as many connections as it takes. It ends with the stream: at 204, or at
    a ``stream.close`` that says not to come back. Raises :class:`FollowError` for what will not get better."""

    url: str
    token: str = ""
    last_event_id: str = ""
    pause: Callable[[float], None] = time.sleep
    _failures: int = 0
    _opened: bool = False
    _retry_s: float = FIRST_PAUSE_S
    _wait_s: float = 0.0
    _parts: SplitResult = field(init=False)

    def __post_init__(self) -> None:
        self._parts = _parts(self.url)

    def __iter__(self) -> Iterator[StreamEvent | Note]:
        while True:
            self._wait_s = 0.0
            over = yield from self._once()
            if over:
                return
            pause = self._wait_s or self._backoff_s()
            yield Note(f"Connecting again in {pause:.1f} s.")
            self.pause(pause)

    def _backoff_s(self) -> float:
        self._failures += 1
        longest = min(MAX_PAUSE_S, self._retry_s * 2.0 ** min(self._failures - 1, 10))
        return longest * random.uniform(0.5, 1)

    def _once(self) -> Generator[StreamEvent | Note, None, bool]:
        """One connection; returns whether the stream is over for good."""
        connection = self._connection()
        try:
            try:
                answer = self._ask(connection)
            except (OSError, http.client.HTTPException) as error:
                if not self._opened:
                    raise FollowError(f"{self._place} cannot be reached ({_reason(error)}); is the node up?") from None
                yield Note(f"{self._place} cannot be reached ({_reason(error)}).")
                return False
            if answer.status == 204:
                return True
            if answer.status != 200:
                yield self._refused(answer)
                return False
            if answer.headers.get_content_type() != "text/event-stream":
                raise FollowError(
                    f"{self._place} answers {answer.headers.get_content_type()}, which is no event stream."
                )
            self._opened = True
            return (yield from self._events(answer))
        finally:
            connection.close()

    def _events(self, answer: _Answer) -> Generator[StreamEvent | Note, None, bool]:
        reader = StreamReader(self.last_event_id)
        try:
            for chunk in answer.chunks:
                for event in reader.feed(chunk):
                    self.last_event_id = event.id
                    yield event
                    closing = _closing(event)
                    if closing.get("reconnect") is False:
                        if closing.get("reason") != "finished":
                            raise FollowError(str(closing.get("message") or closing.get("reason") or "It was closed."))
                        return True
                    if not closing:
                        self._failures = 0
                self.last_event_id = reader.last_event_id
                if reader.retry_ms is not None:
                    self._retry_s = min(MAX_PAUSE_S, reader.retry_ms / 1000)
            yield Note("The stream ended.")
        except StreamTooLarge:
            raise FollowError("One event of this stream is larger than 64 MiB.") from None
        except (OSError, http.client.HTTPException) as error:
            yield Note(f"The connection broke ({_reason(error)}).")
        return False

    def _ask(self, connection: http.client.HTTPConnection) -> _Answer:
        headers: dict[str, Any] = {"Accept": "text/event-stream", "Cache-Control": "no-cache"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if self.last_event_id:
            headers["Last-Event-ID"] = self.last_event_id.encode()
        path = self._parts.path or "/"
        try:
            connection.request("GET", f"{path}?{self._parts.query}" if self._parts.query else path, headers=headers)
        except (ValueError, http.client.InvalidURL):
            raise FollowError("The URL or the token holds characters that cannot be sent; encode them.") from None
        if connection.sock is not None:
            connection.sock.settimeout(SILENCE_S)
        response = connection.getresponse()
        return _Answer(response.status, response.headers, iter(lambda: response.read1(65_536), b""))

    def _connection(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        return kind(self._parts.hostname or "", self._parts.port, timeout=CONNECT_S)

    def _refused(self, answer: _Answer) -> Note:
        """A temporary refusal as a note. Raises :class:`FollowError` for any other."""
        sentence = _sentence(answer)
        if answer.status not in TEMPORARY:
            raise FollowError(f"{self._place} answers {answer.status}: {sentence}")
        after = answer.headers.get("retry-after", "")
        if after.isascii() and after.isdigit() and len(after) < 6:
            self._wait_s = min(60.0, float(after)) * random.uniform(1, 1.2)
        return Note(f"{self._place} answers {answer.status}: {sentence}")

    @property
    def _place(self) -> str:
        return f"{self._parts.scheme}://{self._parts.netloc.rpartition('@')[2]}"


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # read lazily; raises for nonsense
    except ValueError:
        raise FollowError("This is not a URL; it must be http://host:port/path.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise FollowError("This is not a URL of a stream; it must be http://host:port/path or https://host/path.")
    return parts


def _closing(event: StreamEvent) -> dict[str, Any]:
    if event.type != "stream.close":
        return {}
    try:
        data = json.loads(event.data)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _sentence(answer: _Answer) -> str:
    """What an error's body says, as far as it can be understood."""
    try:
        error = json.loads(next(answer.chunks, b""))["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, LookupError, TypeError, RecursionError, OSError, http.client.HTTPException):
        return http.client.responses.get(answer.status, "no reason given")


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    if isinstance(error, TimeoutError):
        return "nothing arrived in time"
    return "the answer broke off" if isinstance(error, http.client.HTTPException) else type(error).__name__

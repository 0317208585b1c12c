"""Follows an event stream over HTTP: resumes where it broke off, and knows when it is over."""

from __future__ import annotations

import json
import random
import time
from asyncio import Runner
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from gateway.http_client.blocking import blocking
from gateway.http_client.client import CallError, CannotBeSent, HttpClient, Incoming
from gateway.http_client.place import place, refused, unreachable
from gateway.http_client.sse_reader import StreamEvent, StreamReader, StreamTooLarge

CONNECT_S: Final = 10.0
SILENCE_S: Final = 60.0
"""A stream without even a heartbeat for this long is taken for dead and opened anew."""
FIRST_PAUSE_S: Final = 1.0
MAX_PAUSE_S: Final = 30.0
MAX_ERROR_BYTES: Final = 65_536
TEMPORARY: Final = frozenset({408, 429, 502, 503, 504})


class FollowError(Exception):
    """The stream cannot be followed; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something about the connection that a user may want to know."""

    sentence: str


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
    _here: str = field(init=False)

    def __post_init__(self) -> None:
        _check(self.url)
        self._here = place(self.url)

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
        with blocking() as (client, runner):
            try:
                incoming = runner.run(self._ask(client))
            except CallError as error:
                if not self._opened:
                    raise FollowError(unreachable(self.url, error)) from None
                yield Note(f"{self._here} cannot be reached ({error}).")
                return False
            try:
                if incoming.status == 204:
                    return True
                if incoming.status != 200:
                    yield self._refused(incoming, runner)
                    return False
                if incoming.content_type != "text/event-stream":
                    raise FollowError(f"{self._here} answers {incoming.content_type}, which is no event stream.")
                self._opened = True
                return (yield from self._events(incoming, runner))
            finally:
                runner.run(incoming.aclose())

    def _events(self, incoming: Incoming, runner: Runner) -> Generator[StreamEvent | Note, None, bool]:
        reader = StreamReader(self.last_event_id)
        try:
            while chunk := runner.run(incoming.chunk(SILENCE_S)):
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
        except CallError as error:
            yield Note(f"The connection broke ({error}).")
        return False

    async def _ask(self, client: HttpClient) -> Incoming:
        headers: dict[str, str | bytes] = {"Accept": "text/event-stream", "Cache-Control": "no-cache"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if self.last_event_id:
            headers["Last-Event-ID"] = self.last_event_id.encode()
        try:
            return await client.open(self.url, headers=headers, connect_s=CONNECT_S, head_s=SILENCE_S)
        except CannotBeSent:
            raise FollowError("The URL or the token holds characters that cannot be sent; encode them.") from None

    def _refused(self, incoming: Incoming, runner: Runner) -> Note:
        """A temporary refusal as a note. Raises :class:`FollowError` for any other."""
        sentence = _sentence(incoming, runner)
        if incoming.status not in TEMPORARY:
            raise FollowError(refused(self.url, incoming.status, sentence))
        after = incoming.headers.get("retry-after", "")
        if after.isascii() and after.isdigit() and len(after) < 6:
            self._wait_s = min(60.0, float(after)) * random.uniform(1, 1.2)
        return Note(f"{self._here} answers {incoming.status}: {sentence}")


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # read lazily; raises for nonsense
    except ValueError:
        raise FollowError("This is not a URL; it must be http://host:port/path.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise FollowError("This is not a URL of a stream; it must be http://host:port/path or https://host/path.")


def _closing(event: StreamEvent) -> dict[str, Any]:
    if event.type != "stream.close":
        return {}
    try:
        data = json.loads(event.data)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _sentence(incoming: Incoming, runner: Runner) -> str:
    """What an error's body says, as far as it can be understood."""
    try:
        error = json.loads(runner.run(incoming.body(MAX_ERROR_BYTES, CONNECT_S)))["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, LookupError, TypeError, RecursionError, CallError):
        known = {status.value: status.phrase for status in HTTPStatus}
        return known.get(incoming.status, "no reason given")

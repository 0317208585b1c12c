"""A browser's EventSource for tests: reads a stream, reconnects if asked to, and records everything."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from tests.support.http1 import Exchange, HttpStream
from tests.support.sse_parser import SseEvent, SseParser
from tests.support.waiting import PATIENCE_S


class StreamEnded(Exception):
    """The stream is closed for good, and the awaited event has not come."""


class EventSource:
    """Reads ``path`` from the first of ``bases`` in a task of its own; use it as ``async with``.

    With ``reconnect`` it behaves like a browser: after an end or a break it waits for the stream's ``retry`` (or
    ``default_retry_ms``), goes to the next base with ``Last-Event-ID``, and stops for good at any status but 200 or
    another content type. Without, the first end is the end. ``pause()`` stops reading from the socket.
    """

    def __init__(
        self,
        bases: str | Sequence[str],
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        token: str | None = None,
        last_event_id: str = "",
        reconnect: bool = False,
        default_retry_ms: int = 50,
        max_retry_ms: int = 1000,
        receive_buffer: int | None = None,
    ) -> None:
        self.bases = [bases] if isinstance(bases, str) else list(bases)
        self.path = path
        self.last_event_id = last_event_id
        self.events: list[SseEvent] = []
        """Every event so far, over all connections."""
        self.comments: list[str] = []
        self.retry_ms: int | None = None
        self.exchanges: list[Exchange] = []
        """Every connection so far, also those that failed."""
        self.stopped = asyncio.Event()
        """Set when nothing more will come."""
        self._headers = {"Accept": "text/event-stream", **(headers or {})}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        self._reconnect = reconnect
        self._default_retry_ms = default_retry_ms
        self._max_retry_ms = max_retry_ms
        self._receive_buffer = receive_buffer
        self._taken = 0
        self._stream: HttpStream | None = None
        self._reading = asyncio.Event()
        self._reading.set()
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    # What the stream said -----------------------------------------------------------------------------------

    @property
    def status(self) -> int:
        """Status of the newest answer; 0 before the first."""
        return next((each.status for each in reversed(self.exchanges) if each.status), 0)

    @property
    def response_headers(self) -> dict[str, str]:
        return self.exchanges[-1].headers if self.exchanges else {}

    @property
    def raw_chunks(self) -> list[bytes]:
        """The chunks of the newest connection as the server cut them."""
        return self.exchanges[-1].chunks if self.exchanges else []

    def of_type(self, *types: str) -> list[SseEvent]:
        return [event for event in self.events if event.type in types]

    # Waiting ------------------------------------------------------------------------------------------------

    async def opened(self, timeout: float = PATIENCE_S) -> Self:
        """Return when an answer's head has arrived, whatever its status."""
        await self.wait_for(lambda: self.status or self.stopped.is_set(), "an answer", timeout)
        return self

    async def next_event(self, timeout: float = PATIENCE_S) -> SseEvent:
        """The next event that was not taken yet. Raises :class:`StreamEnded` or ``TimeoutError``."""
        await self.wait_for(lambda: len(self.events) > self._taken or self.stopped.is_set(), "an event", timeout)
        if len(self.events) == self._taken:
            raise StreamEnded(f"The stream ended: {self._story()}")
        self._taken += 1
        return self.events[self._taken - 1]

    async def next_of_type(self, *types: str, timeout: float = PATIENCE_S) -> SseEvent:
        """The next event of one of these types; those before it are passed over."""
        return (await self.collect_until(lambda event: event.type in types, timeout))[-1]

    async def collect_until(
        self, predicate: Callable[[SseEvent], object], timeout: float = PATIENCE_S
    ) -> list[SseEvent]:
        """The next events up to and with the first for which ``predicate`` holds."""
        taken: list[SseEvent] = []
        async with asyncio.timeout(timeout):
            while not taken or not predicate(taken[-1]):
                taken.append(await self.next_event(timeout * 2))
        return taken

    async def wait_stopped(self, timeout: float = PATIENCE_S) -> Self:
        """Return when the stream is closed for good."""
        await self.wait_for(self.stopped.is_set, "the end of the stream", timeout)
        return self

    async def wait_for(self, condition: Callable[[], object], what: str, timeout: float = PATIENCE_S) -> None:
        """Return when ``condition()`` holds; it is looked at whenever something arrives."""
        try:
            async with asyncio.timeout(timeout), self._changed:
                await self._changed.wait_for(lambda: bool(condition()))
        except TimeoutError:
            raise TimeoutError(f"Waited {timeout:g} s for {what}: {self._story()}") from None

    # Acting -------------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Stop taking bytes from the socket, like a client that hangs."""
        self._reading.clear()

    def resume(self) -> None:
        self._reading.set()

    def drop(self) -> None:
        """Break the current connection, as a lost network would; a reconnecting client comes back."""
        if self._stream is not None:
            self._stream.abort()

    async def close(self) -> None:
        """Close it for good, as the page's ``close()`` would."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name=f"eventsource {self.path}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # The task -----------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            for base in itertools.cycle(self.bases):
                final = await self._connect(base)
                if final or not self._reconnect:
                    return
                retry_ms = self._default_retry_ms if self.retry_ms is None else self.retry_ms
                await asyncio.sleep(min(retry_ms, self._max_retry_ms) / 1000)
        finally:
            self.stopped.set()
            await asyncio.shield(self._tell())

    async def _connect(self, base: str) -> bool:
        """One connection until it ends; whether a browser would give up after it."""
        headers = dict(self._headers)
        if self.last_event_id:
            headers["Last-Event-ID"] = self.last_event_id
        exchange = Exchange(base, headers)
        self.exchanges.append(exchange)
        try:
            self._stream = await HttpStream.open(exchange, self.path, receive_buffer=self._receive_buffer)
            await self._tell()
            await self._read(self._stream)
            exchange.ended = "end"
        except (OSError, EOFError) as error:
            exchange.ended = repr(error)
        finally:
            if self._stream is not None:
                self._stream.abort()
                self._stream = None
            await asyncio.shield(self._tell())
        return bool(exchange.status) and not _is_event_stream(exchange)

    async def _read(self, stream: HttpStream) -> None:
        parser = SseParser(self.last_event_id, comments=self.comments)
        await self._reading.wait()
        async for chunk in stream.chunks():
            if _is_event_stream(stream.exchange):
                self.events += parser.feed(chunk)
                self.last_event_id = parser.last_event_id
                if parser.retry_ms is not None:
                    self.retry_ms = parser.retry_ms
            await self._tell()
            await self._reading.wait()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _story(self) -> str:
        tries = "; ".join(f"{each.base} {each.status} {each.ended or 'open'}" for each in self.exchanges[-5:])
        return f"{self.path}, {len(self.events)} events, last {self.events[-3:]}, connections: {tries or 'none'}"


def _is_event_stream(exchange: Exchange) -> bool:
    return exchange.status == 200 and exchange.headers.get("content-type", "").startswith("text/event-stream")

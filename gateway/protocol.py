"""uvicorn's HTTP protocol with what long streams need: limits on requests, and a way for a stream to take the socket
over, so that it can write without a coroutine, hear of backpressure, and cut a peer that accepts nothing.

Raising in an ASGI application only calls ``transport.close()``, which waits for the peer for ever; only
``abort()`` frees a stalled one.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, ClassVar, Final

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from gateway.peer import StreamPeer

log = logging.getLogger("gateway.http")

EXTENSION: Final = "sse_gateway.peer"
MAX_HEAD_BYTES: Final = 16 * 1024
HEAD_TIMEOUT_S: Final = 10.0
REST_TIMEOUT_S: Final = 5.0
"""How long the rest of a body is taken in that was answered already: who is cut off at once may miss the answer."""
HIGH_WATER: Final = 32 * 1024
VERSIONS: Final = ("1.1", "1.0")


class _HeadTooLarge(Exception):
    """The parser stops at a header block that is larger than allowed."""


class _OtherVersion(Exception):
    """The parser stops at a request of a version whose answers would have another form."""


class _TooEarly(Exception):
    """The parser stops at a request that does not wait for the answer to the one before."""


class GatewayProtocol(HttpToolsProtocol):
    """One TCP connection, until a stream begins on it.

    It serves one request at a time. A request that is sent before the answer to the last one (pipelining, which no
    browser and no common proxy does) is not read: the connection ends with that answer.
    """

    max_sockets: ClassVar[int] = 0
    """Sockets that the node may hold, streams or not; 0: no limit."""
    again: ClassVar[Callable[[asyncio.Transport], None] | None] = None
    """Serves the next request on a connection whose stream has ended; one function for all of a server's."""
    lost: bool = False
    """Whether the socket is gone."""
    _head_bytes: int = 0
    _in_head: bool = True
    """Whether the next byte belongs to the head of a request, and not to a body."""
    _timer: asyncio.TimerHandle | None = None
    _deaf: bool = False
    _task: asyncio.Task[object] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.max_sockets and len(self.connections) > self.max_sockets:
            transport.abort()
            return
        transport.set_write_buffer_limits(high=HIGH_WATER)
        self._timer = self.loop.call_later(HEAD_TIMEOUT_S, self._head_late)

    # Requests are bounded in size and time ---

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        if self._in_head:
            if self._timer is None:
                self._timer = self.loop.call_later(HEAD_TIMEOUT_S, self._head_late)
            self._head_bytes += len(data)
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # There is nothing to upgrade to: it is answered like any other request.
            if upgrade.args[0] < len(data):
                self._too_early()
            return
        except httptools.HttpParserError as error:
            self._unreadable(error)
            return
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse_head()

    def on_message_begin(self) -> None:
        if self._busy():
            raise _TooEarly
        super().on_message_begin()
        self.scope["extensions"] = {EXTENSION: self}  # type: ignore[dict-item]

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        self._stop_timer()
        if self.parser.get_http_version() not in VERSIONS:
            raise _OtherVersion
        # What came in one piece was never counted as an unfinished head.
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > MAX_HEAD_BYTES:
            raise _HeadTooLarge
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head = True
        self._stop_timer()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._in_head and not self.transport.is_closing():
            self._timer = self.loop.call_later(REST_TIMEOUT_S, self.transport.close)

    def _head_late(self) -> None:
        self._timer = None
        if self._head_bytes:
            self._refuse(408, b"timeout", b"The request was not complete within 10 seconds.")
        elif not self._busy():
            self.transport.close()

    def _busy(self) -> bool:
        """Whether a response is under way."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _unreadable(self, error: httptools.HttpParserError) -> None:
        if isinstance(error.__context__, _HeadTooLarge):
            self._refuse_head()
        elif isinstance(error.__context__, _TooEarly):
            self._too_early()
        else:
            log.debug("request.unreadable %s", type(error).__name__)
            self._refuse(400, b"bad_request", b"This is not an HTTP/1.1 request.")

    def _too_early(self) -> None:
        """Read nothing more; the connection ends with the answer that is under way."""
        self._stop_timer()
        self._deaf = True
        self.cycle.keep_alive = False
        if self._task is not None:
            self.transport.abort()

    def _refuse_head(self) -> None:
        self._refuse(431, b"too_large", b"The header block is larger than 16 KiB.")

    def _refuse(self, status: int, code: bytes, sentence: bytes) -> None:
        """Answer, if nothing was answered yet, and close."""
        self._stop_timer()
        if self.transport.is_closing():
            return
        if self._busy():
            if self.cycle.response_started:
                self.transport.abort()
                return
            self.cycle.disconnected = True  # the application's own answer comes too late
        body = b'{"error":{"code":"%b","message":"%b"}}' % (code, sentence)
        self.transport.write(
            STATUS_LINE[status]
            + b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
            + body
        )
        self.transport.close()

    # A stream takes over ---

    @contextlib.contextmanager
    def while_connected(self) -> Iterator[None]:
        """Cancel what is inside when the socket is lost, and go on behind it: whoever asked for it has gone."""
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        try:
            yield
        except asyncio.CancelledError:
            if not self.lost:
                raise  # somebody else's wish
            task.uncancel()
        finally:
            self._task = None

    async def head(self, start: Awaitable[None]) -> bytes:
        """The head of a stream's response, which ``start`` sends: held back, so that it can be written together with
        what comes first. Never waits, not even for a peer that has not taken earlier answers: what was checked before
        would no longer be sure."""
        cycle, held = self.cycle, _Held()
        if self.scope["http_version"] != "1.1":
            cycle.chunked_encoding = False  # HTTP/1.0 knows no chunks, which uvicorn overlooks
        cycle.transport = held  # type: ignore[assignment]
        cycle.flow = held  # type: ignore[assignment]
        try:
            await start
        finally:
            cycle.transport, cycle.flow = self.transport, self.flow
        return b"".join(held.pieces)

    def hand_over(self) -> tuple[StreamPeer, bool]:
        """Give the socket to a stream, and forget it. Also whether the client went on talking, which it may not."""
        cycle = self.cycle
        talking = self._deaf or self.flow.read_paused or cycle.more_body  # whose rest would pass for a request
        cycle.disconnected = True  # from now on the application may end without a word to uvicorn
        self._stop_timer()
        self._unset_keepalive_if_required()
        self._forget_itself()
        self.parser = None  # type: ignore[assignment]
        self.connections.discard(self)
        again = self._successor() if cycle.keep_alive and not talking else None
        peer = StreamPeer(
            self.transport,
            self.connections,
            chunked=bool(cycle.chunked_encoding),
            again=again,
            paused=self.flow.write_paused,
        )
        return peer, talking

    def _successor(self) -> Callable[[asyncio.Transport], None]:
        made = type(self)
        if made.again is None:
            make = functools.partial(made, self.config, self.server_state, self.app_state, self.loop)

            def again(transport: asyncio.Transport) -> None:
                protocol = make()
                transport.set_protocol(protocol)
                protocol.connection_made(transport)
                protocol.await_next()

            made.again = staticmethod(again)
        return made.again

    def await_next(self) -> None:
        """A request was served on this connection; another one may come."""
        self._stop_timer()
        self.on_response_complete()

    def _forget_itself(self) -> None:
        """Break the cycle over the scope: what is closed should go at once, and not wait for the collector."""
        scope: Any = self.scope  # None before the first request
        if scope is not None:
            scope.get("extensions", {}).pop(EXTENSION, None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self._stop_timer()
        super().connection_lost(exc)
        self._forget_itself()
        self._unset_keepalive_if_required()  # uvicorn forgets it after a reset, and stays in memory with it
        if self._task is not None:
            self._task.cancel()


class _Held:
    """Stands in for a transport and its flow control, and keeps what is written."""

    write_paused = False

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.pieces.append(data)

"""uvicorn's HTTP protocol with what long streams need: socket options, limits on requests, and a way for a stream
to write to its socket without a coroutine, to hear of backpressure, and to cut a peer that accepts nothing.

Raising in an ASGI application only calls ``transport.close()``, which waits for the peer for ever; only
``abort()`` frees a stalled one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from gateway.closing import Closing

if TYPE_CHECKING:
    from gateway.connection import Connection

log = logging.getLogger("gateway.http")

EXTENSION: Final = "sse_gateway.peer"
MAX_HEAD_BYTES: Final = 16 * 1024
HEAD_TIMEOUT_S: Final = 10.0
REST_TIMEOUT_S: Final = 5.0
"""How long the rest of a body is taken in that was answered already: who is cut off at once may miss the answer."""
SEND_BUFFER: Final = 64 * 1024
"""Without it about 4 MB vanish in kernel buffers before a stalled peer is noticed."""
HIGH_WATER: Final = 32 * 1024
USER_TIMEOUT_MS: Final = 30_000


class _HeadTooLarge(Exception):
    """The parser stops at a header block that is larger than allowed."""


class _TooEarly(Exception):
    """The parser stops at a request that does not wait for the answer to the one before."""


class GatewayProtocol(HttpToolsProtocol):
    """One TCP connection. :meth:`attach` hands its writing side to a stream until :meth:`detach`.

    It serves one request at a time. A request that is sent before the answer to the last one (pipelining, which no
    browser and no common proxy does) is not read: the connection ends with that answer.
    """

    stream: Connection | None = None
    max_sockets: int = 0
    """Sockets that the node may hold, streams or not; 0: no limit."""
    user_timeout_ms: int = USER_TIMEOUT_MS
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
        sock = transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):
                _tune(sock, self.user_timeout_ms)
        self._timer = self.loop.call_later(HEAD_TIMEOUT_S, self._head_late)

    # Requests are bounded in size and time ---

    def data_received(self, data: bytes) -> None:
        if self.stream is not None:
            self.stream.on_intrusion()  # a client has nothing to say while it listens
            return
        if self._deaf:
            return
        if self._in_head:
            if self._timer is None:
                self._timer = self.loop.call_later(HEAD_TIMEOUT_S, self._head_late)
            self._head_bytes += len(data)
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return  # there is nothing to upgrade to: it is answered like any other request
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
            self._stop_timer()
            self._deaf = True
            self.cycle.keep_alive = False
            if self._task is not None:
                self.transport.abort()
        else:
            log.debug("request.unreadable %s", type(error).__name__)
            self._refuse(400, b"bad_request", b"This is not an HTTP/1.1 request.")

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

    def begin(self) -> None:
        """To be called before a stream's response is started: HTTP/1.0 knows no chunks, which uvicorn overlooks."""
        if self.scope["http_version"] != "1.1":
            self.cycle.chunked_encoding = False

    @property
    def chunked(self) -> bool:
        """Whether the response that was started is sent in chunks (HTTP/1.1)."""
        return bool(self.cycle.chunked_encoding)

    def attach(self, stream: Connection) -> None:
        """From now on ``stream`` writes to the socket and hears of its fate."""
        self.stream = stream
        if self.transport.is_closing():
            stream.on_lost()
        elif self._deaf or self.flow.read_paused:
            stream.on_intrusion()
        elif self.flow.write_paused:
            stream.pause()

    def detach(self) -> None:
        self.stream = None

    def write(self, data: bytes) -> None:
        """Bytes of the response's body, framed already."""
        self.transport.write(data)

    def unsent(self) -> int:
        return self.transport.get_write_buffer_size()

    def abort(self) -> None:
        """Cut the peer off now, whatever it has not taken."""
        self.cycle.disconnected = True  # the response ends unfinished, which is no mistake of the application
        self.transport.abort()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.stream is not None:
            self.stream.pause()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.stream is not None:
            self.stream.resume()

    def _forget_itself(self) -> None:
        """Break the cycle over the scope: what is closed should go at once, and not wait for the collector."""
        scope: Any = self.scope  # None before the first request
        if scope is not None:
            scope.get("extensions", {}).pop(EXTENSION, None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self._stop_timer()
        stream, self.stream = self.stream, None
        super().connection_lost(exc)
        self._forget_itself()
        self._unset_keepalive_if_required()  # uvicorn forgets it after a reset, and stays in memory with it
        if stream is not None:
            if isinstance(exc, TimeoutError):
                stream.finish(Closing.STALLED)  # the kernel was first to notice
            stream.on_lost()
        if self._task is not None:
            self._task.cancel()


def _tune(sock: Any, user_timeout_ms: int) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for name, value in (
            ("TCP_KEEPIDLE", 30),
            ("TCP_KEEPINTVL", 10),
            ("TCP_KEEPCNT", 3),
            ("TCP_USER_TIMEOUT", user_timeout_ms),
        ):
            option = getattr(socket, name, None)  # not every platform has each of them
            if option is not None:
                sock.setsockopt(socket.IPPROTO_TCP, option, value)

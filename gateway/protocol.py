"""uvicorn's HTTP protocol with what long streams need: socket options, limits on requests, and a way for a stream
to write to its socket without a coroutine, to hear of backpressure, and to cut a peer that accepts nothing.

Raising in an ASGI application only calls ``transport.close()``, which waits for the peer for ever; only
``abort()`` frees a stalled one.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

if TYPE_CHECKING:
    from gateway.connection import Connection

EXTENSION: Final = "sse_gateway.peer"
MAX_HEAD_BYTES: Final = 16 * 1024
HEAD_TIMEOUT_S: Final = 10.0
SEND_BUFFER: Final = 64 * 1024
"""Without it about 4 MB vanish in kernel buffers before a stalled peer is noticed."""
HIGH_WATER: Final = 32 * 1024
USER_TIMEOUT_MS: Final = 30_000


class GatewayProtocol(HttpToolsProtocol):
    """One TCP connection. :meth:`attach` hands its writing side to a stream until :meth:`detach`."""

    stream: Connection | None = None
    max_sockets: int = 0
    """Sockets that the node may hold, streams or not; 0: no limit."""
    user_timeout_ms: int = USER_TIMEOUT_MS
    _head_bytes: int = 0
    _in_head: bool = True
    _head_timer: asyncio.TimerHandle | None = None

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
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._head_late)

    # The head of a request is bounded in size and time ---

    def data_received(self, data: bytes) -> None:
        if self.stream is not None:
            self.stream.on_intrusion()  # a client has nothing to say while it listens
            return
        if self._in_head:
            if self._head_timer is None:
                self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._head_late)
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(431, b"The header block is larger than 16 KiB.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {EXTENSION: self}  # type: ignore[dict-item]

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        self._stop_head_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head = True

    def _head_late(self) -> None:
        self._head_timer = None
        if self._head_bytes:
            self._refuse(408, b"The request was not complete within 10 seconds.")
        elif not self._busy():
            self.transport.close()

    def _busy(self) -> bool:
        """Whether a response is under way."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, status: int, sentence: bytes) -> None:
        self._stop_head_timer()
        if self.transport.is_closing() or self._busy():
            self.transport.abort()
            return
        body = b'{"error":{"code":"bad_request","message":"%b"}}' % sentence
        self.transport.write(
            STATUS_LINE[status]
            + b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
            + body
        )
        self.transport.close()

    # A stream takes over ---

    def begin(self) -> None:
        """To be called before a stream's response is started: HTTP/1.0 knows no chunks, which uvicorn overlooks."""
        if self.scope["http_version"] == "1.0":
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
        elif self.pipeline:
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
        self.transport.abort()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.stream is not None:
            self.stream.pause()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.stream is not None:
            self.stream.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        stream, self.stream = self.stream, None
        super().connection_lost(exc)
        if stream is not None:
            stream.on_lost()


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

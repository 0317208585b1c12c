"""The socket of an open stream: what is left of a request once its response has begun.

An HTTP protocol with its parser, headers, scope and task takes about 10 KiB, which nobody needs while a stream is
open. So the socket is handed over to a peer, which knows how to write and hears of backpressure and of the end; after
the stream it is handed on to serve the next request.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from gateway.closing import Closing
from gateway.fanout import sse

if TYPE_CHECKING:
    from gateway.fanout.connection import Connection


MAX_EXTENSION: Final = 200
LAST_CHUNK_END: Final = b"\r\n\r\n"
_LAST_CHUNK: Final = re.compile(rb"0{0,16}([ \t]*;[^\r\n]{0,%d})?(\r(\n(\r\n?)?)?)?" % MAX_EXTENSION)
"""The end of a body in chunks, or the beginning of that; what came with the head is not seen here."""


class StreamPeer(asyncio.Protocol):
    """Made by :meth:`gateway.sockets.protocol.GatewayProtocol.hand_over`."""

    __slots__ = ("_again", "_body_end", "_paused", "_socket", "_sockets", "_stream", "_transport", "chunked")

    def __init__(
        self,
        transport: asyncio.Transport,
        sockets: set[Any],
        *,
        chunked: bool,
        again: Callable[[asyncio.Transport], None] | None,
        paused: bool,
        ends_late: bool = False,
    ) -> None:
        """``sockets`` are all that the server waits for when it stops; ``chunked`` whether the response is sent in
        chunks (HTTP/1.1); ``again`` serves the next request on the transport, if there may be one; ``paused`` whether
        the transport's buffer is full of earlier answers; ``ends_late`` whether the request is said to have a body in
        chunks, of which nothing has come: its last chunk may still come, and is no intrusion."""
        self._transport = transport
        self._socket: socket.socket = transport._sock  # type: ignore[attr-defined]
        self._sockets = sockets
        self.chunked = chunked
        self._again = again
        self._paused = paused
        self._body_end = b"" if ends_late else None
        self._stream: Connection | None = None
        sockets.add(self)
        transport.set_protocol(self)
        transport.set_write_buffer_limits(high=0)

    def attach(self, stream: Connection) -> None:
        """From now on ``stream`` hears of the socket's fate."""
        self._stream = stream
        if self._paused:
            stream.pause()

    # What the stream does ---

    def write(self, data: bytes) -> None:
        """Bytes of the response, framed already.

        They go to the kernel directly: asyncio's own write() takes a sixth more of a delivery. It is what keeps the
        rest of bytes that the kernel does not take, and finds out what is wrong with the socket."""
        try:
            sent = 0 if self._paused else self._socket.send(data)
        except OSError:
            sent = 0
        if sent < len(data):
            self._transport.write(data[sent:])

    def unsent(self) -> int:
        """Bytes that the transport has taken and the kernel has not."""
        return self._transport.get_write_buffer_size()

    def abort(self) -> None:
        """Cut the peer off now, whatever it has not taken."""
        self._transport.abort()

    def break_off(self) -> None:
        """Cut the peer off so that it knows the response to be incomplete: without a last chunk or, where there are no
        chunks and a plain end would pass for that of the response, by a reset of the connection."""
        if not self.chunked:
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def end(self) -> None:
        """The response is complete."""
        self._stream = None
        transport = self._transport
        if self.chunked:
            transport.write(sse.LAST_CHUNK)
        if self._again is None or transport.is_closing():
            transport.close()
        else:
            self._sockets.discard(self)
            self._again(transport)

    # What the socket does ---

    def data_received(self, data: bytes) -> None:
        if self._body_end is not None:
            self._body_end += data
            if self._body_end in LAST_CHUNK_END or _LAST_CHUNK.fullmatch(self._body_end):
                return
        self._again = None  # what it says is not read, so that nothing behind it could be understood
        if self._stream is not None:
            self._stream.on_intrusion()  # a client has nothing to say while it listens

    def pause_writing(self) -> None:
        self._paused = True
        if self._stream is not None:
            self._stream.pause()

    def resume_writing(self) -> None:
        self._paused = False
        if self._stream is not None:
            self._stream.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        self._sockets.discard(self)
        stream, self._stream = self._stream, None
        if stream is not None:
            if isinstance(exc, TimeoutError):
                stream.finish(Closing.STALLED)  # the kernel was first to notice
            stream.on_lost()

    # What the server does ---

    def shutdown(self) -> None:
        """uvicorn stops: no further request on this connection."""
        self._again = None

    def part(self) -> None:
        """The same, while the node still lets its streams go."""
        self._again = None

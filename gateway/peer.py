"""The socket of an open stream: what is left of a request once its response has begun.

An HTTP protocol with its parser, headers, scope and task takes about 10 KiB, which nobody needs while a stream is
open. So the socket is handed over to a peer, which knows how to write and hears of backpressure and of the end; after
the stream it is handed on to serve the next request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gateway import sse
from gateway.closing import Closing

if TYPE_CHECKING:
    from gateway.connection import Connection


class StreamPeer(asyncio.Protocol):
    """Made by :meth:`gateway.protocol.GatewayProtocol.hand_over`."""

    __slots__ = ("_again", "_paused", "_sockets", "_stream", "_transport", "chunked")

    def __init__(
        self,
        transport: asyncio.Transport,
        sockets: set[Any],
        *,
        chunked: bool,
        again: Callable[[asyncio.Transport], None] | None,
        paused: bool,
    ) -> None:
        """``sockets`` are all that the server waits for when it stops; ``chunked`` whether the response is sent in
        chunks (HTTP/1.1); ``again`` serves the next request on the transport, if there may be one; ``paused`` whether
        the transport's buffer is full of earlier answers."""
        self._transport = transport
        self._sockets = sockets
        self.chunked = chunked
        self._again = again
        self._paused = paused
        self._stream: Connection | None = None
        sockets.add(self)
        transport.set_protocol(self)

    def attach(self, stream: Connection) -> None:
        """From now on ``stream`` hears of the socket's fate."""
        self._stream = stream
        if self._paused:
            stream.pause()

    # What the stream does ---

    def write(self, data: bytes) -> None:
        """Bytes of the response, framed already."""
        self._transport.write(data)

    def unsent(self) -> int:
        """Bytes that the transport has taken and the kernel has not."""
        return self._transport.get_write_buffer_size()

    def abort(self) -> None:
        """Cut the peer off now, whatever it has not taken."""
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
        self._again = None  # what it says is not read, so that nothing behind it could be understood
        if self._stream is not None:
            self._stream.on_intrusion()  # a client has nothing to say while it listens

    def pause_writing(self) -> None:
        if self._stream is not None:
            self._stream.pause()

    def resume_writing(self) -> None:
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

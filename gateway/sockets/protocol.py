"""The HTTP connections of a node: a way for a stream to take the socket over, so that it can write without a coroutine,
hear of backpressure, and cut a peer that accepts nothing.

Raising in an ASGI application only calls ``transport.close()``, which waits for the peer for ever; only
``abort()`` frees a stalled one.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import ClassVar

from starlette.types import Send

from gateway.sockets.answering import Held
from gateway.sockets.peer import StreamPeer
from gateway.sockets.requests import RequestProtocol


class GatewayProtocol(RequestProtocol):
    """One TCP connection, until a stream begins on it."""

    again: ClassVar[Callable[[asyncio.Transport], None] | None] = None
    """Serves the next request on a connection whose stream has ended; one function for all of a server's."""
    heads: ClassVar[dict[tuple[object, bool, bool], tuple[list[tuple[bytes, bytes]] | None, bytes]]] = {}
    """Heads of streams, with the headers that were uvicorn's own then: by what starts them, whether they are sent in
    chunks, and whether the connection may stay."""
    lost: bool = False
    """Whether the socket is gone."""
    _task: asyncio.Task[object] | None = None

    def while_connected(self) -> AbstractContextManager[None]:
        """Cancel what is inside when the socket is lost, and go on behind it: whoever asked for it has gone."""
        return _WhileConnected(self)

    async def head(self, start: Callable[[Send], Awaitable[None]], send: Send) -> bytes:
        """The head of a stream's response, which ``start`` sends: held back, so that it can be written together with
        what comes first. Never waits, not even for a peer that has not taken earlier answers: what was checked before
        would no longer be sure."""
        cycle = self.cycle
        own: object = cycle.send
        chunked = self.scope["http_version"] == "1.1"  # HTTP/1.0 knows no chunks, which uvicorn overlooks
        if send != own:  # somebody adds to it
            return await self._made_head(start, send, chunked)
        # Else it is the same for all, until uvicorn's next second.
        kind = (start, chunked, cycle.keep_alive)
        default, text = self.heads.get(kind, (None, b""))
        if default is cycle.default_headers:
            cycle.response_started, cycle.chunked_encoding = True, chunked
            return text
        text = await self._made_head(start, send, chunked)
        self.heads[kind] = cycle.default_headers, text
        return text

    async def _made_head(self, start: Callable[[Send], Awaitable[None]], send: Send, chunked: bool) -> bytes:
        cycle, held = self.cycle, Held()
        if not chunked:
            cycle.chunked_encoding = False
        cycle.transport = held  # type: ignore[assignment]
        cycle.flow = held  # type: ignore[assignment]
        try:
            await start(send)
        finally:
            cycle.transport, cycle.flow = self.transport, self.flow
        return b"".join(held.pieces)

    def hand_over(self) -> tuple[StreamPeer, bool]:
        """Give the socket to a stream, and forget it. Also whether the client went on talking, which it may not."""
        cycle = self.cycle
        ends_late = cycle.more_body and not self._allowance.contents and _is_chunked(self.headers)
        talking = self._deaf or self.flow.read_paused or (cycle.more_body and not ends_late)
        cycle.disconnected = True  # from now on the application may end without a word to uvicorn
        self._stop_timer()
        self._unset_keepalive_if_required()
        self._forget_request()
        self.crowd.leave(self)
        self.parser = None  # type: ignore[assignment]
        self.connections.discard(self)
        # The rest of a body would pass for a request.
        again = self._successor() if cycle.keep_alive and not talking and not ends_late else None
        peer = StreamPeer(
            self.transport,
            self.connections,
            chunked=bool(cycle.chunked_encoding),
            again=again,
            paused=self.flow.write_paused,
            ends_late=ends_late,
        )
        return peer, talking

    def _successor(self) -> Callable[[asyncio.Transport], None]:
        made = type(self)
        if made.again is None:
            make = functools.partial(made, self.config, self.server_state, self.app_state, self.loop)

            def again(transport: asyncio.Transport) -> None:
                if made.parting:
                    transport.close()
                    return
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

    def _too_early(self) -> None:
        super()._too_early()
        if self._task is not None:
            self.transport.abort()

    def _refuse(self, status: int, code: bytes, sentence: bytes, header: bytes = b"") -> None:
        super()._refuse(status, code, sentence, header)
        self.lost = True  # for a stream: it was answered
        if self._task is not None:
            self._task.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        super().connection_lost(exc)
        if self._task is not None:
            self._task.cancel()


class _WhileConnected(AbstractContextManager[None]):
    """A class, since every stream passes through here: a generator takes four times as long."""

    __slots__ = ("_http",)

    def __init__(self, http: GatewayProtocol) -> None:
        self._http = http

    def __enter__(self) -> None:
        self._http._task = asyncio.current_task()
        assert self._http._task is not None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        task, self._http._task = self._http._task, None
        if not isinstance(error, asyncio.CancelledError) or not self._http.lost:
            return False  # somebody else's wish
        assert task is not None
        task.uncancel()
        return True


def _is_chunked(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name == b"transfer-encoding" for name, _ in headers)

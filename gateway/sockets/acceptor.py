"""Takes connections in: what ``loop.create_server`` does, without a task for each of them.

asyncio makes every connection in a task of its own, which waits until the connection is made. Where connections come
by the thousand, that is a sixth of what a new stream costs.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any, Final

from gateway.logs.log import Log

log = Log("gateway.node")

RETRY_S: Final = 1.0
"""After this it is tried again to accept, where the process or the system has no room for a connection."""
NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Acceptor:
    """Of an event loop that hears sockets itself. Accepts connections until it is closed, ``at_once`` of them in one
    turn, each with a protocol that ``make`` gives; the kernel keeps ``backlog`` of them until then. To uvicorn it is a
    server."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        make: Callable[[], asyncio.BaseProtocol],
        *,
        at_once: int,
        backlog: int,
    ) -> None:
        self._loop = loop
        self._socket = sock
        self._kind = (sock.family, sock.type, sock.proto)
        self._make = make
        self._at_once = at_once
        self._retry: asyncio.TimerHandle | None = None
        sock.setblocking(False)
        sock.listen(backlog)
        self._begin()

    def close(self) -> None:
        """Accept nothing more, and close the socket. May be called twice."""
        if self._retry is not None:
            self._retry.cancel()
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()

    async def wait_closed(self) -> None:
        """Nothing is left to wait for: the connections are uvicorn's."""

    def _begin(self) -> None:
        self._loop.add_reader(self._socket, self._accept)

    def _accept(self) -> None:
        loop: Any = self._loop
        for _ in range(self._at_once):
            try:
                fd, address = self._socket._accept()  # type: ignore[attr-defined]
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in NO_ROOM:
                    raise
                self._rest(error)
                return
            accepted = socket.socket(*self._kind, fileno=fd)
            accepted.setblocking(False)
            loop._make_socket_transport(accepted, self._make(), extra={"peername": address})

    def _rest(self, error: OSError) -> None:
        """The kernel would go on saying that somebody waits."""
        log.warning("node.no_room", words=error)
        self._loop.remove_reader(self._socket)
        self._retry = self._loop.call_later(RETRY_S, self._begin)

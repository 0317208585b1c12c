"""The process: uvicorn's server with a drain that begins at the signal, and exit code 0 after a clean one.

uvicorn runs the lifespan's shutdown only after every connection has ended, which open streams never do by themselves;
so the node is told first, and lets its streams go over the drain window while the socket still answers ``/readyz``.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import signal
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Iterator
from types import FrameType
from typing import Any, Final

import uvicorn

from gateway.allocator import give_back_large_blocks
from gateway.sockets.acceptor import Acceptor
from gateway.sockets.requests import RequestProtocol

PART_S: Final = 1.0
"""Whoever has connected just before a node leaves its socket may take so long to say what for."""


class GatewayServer(uvicorn.Server):
    """``drain`` is awaited between the signal and the closing of the sockets; ``hurry``, called from a signal handler,
    cuts it short. ``backlog`` connections are kept by the kernel until they are accepted, and uvicorn's ``backlog`` is
    how many of them are accepted in one turn of the loop."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        drain: Callable[[], Awaitable[None]],
        hurry: Callable[[], None],
        backlog: int,
        started: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(config)
        self._backlog = backlog
        self._drain = drain
        self._hurry = hurry
        self._tell_started = started
        self._signalled = False
        self._hurried = False
        self._retiring = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        if not isinstance(loop, asyncio.SelectorEventLoop):  # Windows
            await super().startup(sockets)
            for each in sockets or ():
                each.listen(self._backlog)  # asyncio has asked for no more than it accepts at once
        else:
            await super().startup([])
            self.servers = [self._acceptor(loop, each) for each in sockets or ()]  # type: ignore[misc]
        # What exists now lives as long as the process: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 20)
        give_back_large_blocks()
        if self.started:
            self._tell_started()

    def _acceptor(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> Acceptor:
        config = self.config
        kind: Any = config.http_protocol_class
        make = functools.partial(kind, config, self.server_state, self.lifespan.state, loop)
        return Acceptor(loop, sock, make, at_once=config.backlog, backlog=self._backlog)

    def retire(self) -> None:
        """Begin the end of a node whose successor accepts on the same socket already: nobody is sent away."""
        self._retiring = True
        self.should_exit = True

    def stop(self) -> None:
        """Begin the drain; no matter whether a signal does so as well."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._let_connections_part()
        if self._retiring and not self.force_exit:
            await self._leave_socket()
        if not self.force_exit:
            await self._drain()
        await super().shutdown(sockets)

    def _let_connections_part(self) -> None:
        """Each ends with the answer that comes next, so that its client looks for another node."""
        protocol: Any = self.config.http
        protocol.parting = True
        connections: set[Any] = self.server_state.connections
        for connection in list(connections):
            connection.part()

    async def _leave_socket(self) -> None:
        for server in self.servers:
            server.close()
        deadline = time.monotonic() + PART_S
        while any(self._requests()) and time.monotonic() < deadline and not self.force_exit:
            await asyncio.sleep(0.02)
        for connection in list(self._requests()):
            connection.shutdown()

    def _requests(self) -> Iterator[RequestProtocol]:
        return (each for each in self.server_state.connections if isinstance(each, RequestProtocol))

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """As uvicorn's, but the signal is not raised again afterwards: a clean stop exits with 0."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handled = (signal.SIGINT, signal.SIGTERM)
        originals = {number: signal.signal(number, self.handle_exit) for number in handled}
        try:
            yield
        finally:
            for number, handler in originals.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal begins the drain, the second cuts it short, the third waits for nothing any more."""
        if self._hurried:
            self.force_exit = True
        if self._signalled:
            self._hurried = True
            self._hurry()
        self._signalled = self.should_exit = True

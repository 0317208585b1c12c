"""The process: uvicorn's server with a drain that begins at the signal, and exit code 0 after a clean one.

uvicorn runs the lifespan's shutdown only after every connection has ended, which open streams never do by themselves;
so the node is told first, and lets its streams go over the drain window while the socket still answers ``/readyz``.
"""

from __future__ import annotations

import contextlib
import gc
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Generator
from types import FrameType

import uvicorn


class GatewayServer(uvicorn.Server):
    """``drain`` is awaited between the signal and the closing of the sockets; ``hurry``, called from a signal handler,
    cuts it short."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        drain: Callable[[], Awaitable[None]],
        hurry: Callable[[], None],
        started: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(config)
        self._drain = drain
        self._hurry = hurry
        self._tell_started = started
        self._hurried = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What exists now lives as long as the process: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 20)
        if self.started:
            self._tell_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if not self.force_exit:
            await self._drain()
        await super().shutdown(sockets)

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
        if self.should_exit:
            self._hurried = True
            self._hurry()
        self.should_exit = True

"""A TCP proxy that fails on request: cuts, blackholes, trickles and refuses, so that networks break for real."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from tests.support.ports import HOST, free_port

T = TypeVar("T")
Direction = Literal["both", "up", "down"]
"""``up``: from clients to the target; ``down``: back."""
CALL_S = 30
PIECES_PER_S = 20
"""How many pieces a trickling connection cuts a second's bytes into."""


class Proxy:
    """Forwards ``port`` to a target port on loopback, in a thread of its own: for blocking and asyncio tests alike."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = 0
        self.accepted = 0
        """Connections since the start."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="test-proxy", daemon=True)
        self._pairs: dict[asyncio.Task[None], tuple[socket.socket, socket.socket]] = {}
        self._accepting: asyncio.Task[None] | None = None
        self._listener: socket.socket | None = None
        self._bytes_per_s: int | None = None

    @property
    def redis_url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    @property
    def base(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def connections(self) -> int:
        """Connections that are open now."""
        return len(self._pairs)

    def cut(self) -> None:
        """Reset every open connection, on both sides. New ones are served."""
        self._call(self._cut())

    def blackhole(self, direction: Direction = "both") -> None:
        """Hold every byte in this direction while connections stay open and new ones seem to open."""
        self._call(self._set_gates(up=direction == "down", down=direction == "up"))

    def trickle(self, bytes_per_s: int) -> None:
        """Let no more than this through each connection and direction, in small pieces, like a bad line."""
        self._bytes_per_s = bytes_per_s

    def refuse(self) -> None:
        """Refuse new connections; open ones go on."""
        self._call(self._stop_listening())

    def restore(self) -> None:
        """End every failure; what was held back goes on its way."""
        self._bytes_per_s = None
        self._call(self._set_gates(up=True, down=True))
        self._call(self._listen())

    def start(self) -> Self:
        self._thread.start()
        self._call(self._set_gates(up=True, down=True))
        self._call(self._listen())
        return self

    def close(self) -> None:
        self._call(self._stop_listening())
        self._call(self._cut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_S)
        self._loop.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_S)

    # In the thread ------------------------------------------------------------------------------------------

    async def _set_gates(self, *, up: bool, down: bool) -> None:
        if not hasattr(self, "_up"):
            self._up, self._down = asyncio.Event(), asyncio.Event()
        for gate, is_open in ((self._up, up), (self._down, down)):
            if is_open:
                gate.set()
            else:
                gate.clear()

    async def _listen(self) -> None:
        if self._listener is not None:
            return
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, self.port or free_port()))
        listener.listen(1024)
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        self._listener = listener
        self._accepting = asyncio.create_task(self._accept(listener))

    async def _stop_listening(self) -> None:
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.gather(self._accepting, return_exceptions=True)
            self._accepting = None
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _accept(self, listener: socket.socket) -> None:
        while True:
            client, _ = await self._loop.sock_accept(listener)
            client.setblocking(False)
            target = socket.socket()
            target.setblocking(False)
            self.accepted += 1
            task = asyncio.create_task(self._serve(client, target))
            self._pairs[task] = (client, target)
            task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        for each in self._pairs.pop(task, ()):
            each.close()

    async def _serve(self, client: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            await self._loop.sock_connect(target, (HOST, self.target_port))
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(client, target, self._up))
                both.create_task(self._pump(target, client, self._down))

    async def _pump(self, source: socket.socket, sink: socket.socket, gate: asyncio.Event) -> None:
        data = b"-"
        while data:
            try:
                data = await self._loop.sock_recv(source, 65_536)
            except OSError:
                data = b""
            await gate.wait()
            with contextlib.suppress(OSError):
                if data:
                    await self._send(sink, data)
                else:
                    sink.shutdown(socket.SHUT_WR)

    async def _send(self, sink: socket.socket, data: bytes) -> None:
        while (rate := self._bytes_per_s) and data:
            piece = max(1, rate // PIECES_PER_S)
            await self._loop.sock_sendall(sink, data[:piece])
            data = data[piece:]
            await asyncio.sleep(1 / PIECES_PER_S)
        await self._loop.sock_sendall(sink, data)

    async def _cut(self) -> None:
        tasks = list(self._pairs)
        for task in tasks:
            for each in self._pairs[task]:
                # Linger of zero: closing sends a reset, as a crashed machine's successor would.
                with contextlib.suppress(OSError):
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

"""One of the places on the port: a process that is to run all the time. Whoever takes a place keeps its number."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Final

from gateway import listening
from gateway.logs.log import Log
from gateway.processes.child import NodeProcess

log = Log("gateway.processes")

STABLE_S: Final = 10.0
"""Who ends sooner than this after its start is given more time before the next try …"""
FIRST_WAIT_S: Final = 1.0
MAX_WAIT_S: Final = 30.0
"""… twice as much each time, up to this."""

StartProcess = Callable[[int, socket.socket], Awaitable[NodeProcess]]


class NodePlace:
    """``start`` starts a process for a number, on a socket. ``most_drain_s``: so long may its end take."""

    process: NodeProcess

    def __init__(self, number: int, sock: socket.socket, start: StartProcess, most_drain_s: float) -> None:
        self.number = number
        self._sock = sock
        self._start = start
        self._most_drain_s = most_drain_s
        self._changes = asyncio.Lock()
        self._stop = asyncio.Event()
        self._all: set[NodeProcess] = set()
        self._wait_s = 0.0

    async def fill(self) -> bool:
        """Start a process; whether it listens."""
        self.process = await self._another()
        self._since = time.monotonic()
        return await self.process.comes(self.process.up)

    async def _another(self) -> NodeProcess:
        process = await self._start(self.number, self._sock)
        self._all.add(process)
        return process

    async def keep(self) -> None:
        """Fill it again whenever its process has ended, until :meth:`stop`."""
        while not self._stop.is_set():
            process = self.process
            code = await process.ended()
            async with self._changes:
                if process is self.process and not self._stop.is_set():
                    self._all.discard(process)
                    await self._fill_again(code)

    async def _fill_again(self, code: int) -> None:
        stable = time.monotonic() - self._since > STABLE_S
        wait_s = 0.0 if stable else self._wait_s
        self._wait_s = min(MAX_WAIT_S, max(FIRST_WAIT_S, 2 * wait_s))
        log.warning("process.ended", process=self.number, pid=self.process.pid, code=code, again_s=wait_s)
        if wait_s:
            listening.rest(self._sock)  # after a first end the successor serves who waits here
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._stop.wait()
        if not self._stop.is_set() and not await self.fill():
            self.process.kill()

    async def replace(self) -> bool:
        """Let another process take over: it is ready before the present one leaves the socket. False where it cannot
        start, and the present one stays."""
        async with self._changes:
            if self._stop.is_set():
                return False
            new = await self._another()
            if not await new.comes(new.ready):
                new.kill()
                await new.ended()
                self._all.discard(new)
                return False
            old, self.process, self._since = self.process, new, time.monotonic()
        log.info("process.replaced", process=self.number, pid=new.pid, before=old.pid)
        old.tell(do="retire")
        await old.ends_within(self._most_drain_s)
        self._all.discard(old)
        return True

    def stop(self) -> None:
        """Ask whoever is here to end, and start nobody else."""
        self._stop.set()
        for process in self._all:
            process.stop()

    def hurry(self) -> None:
        """Let the end that was asked for come now."""
        for process in self._all:
            process.tell(do="hurry")

    async def empty(self) -> None:
        """Wait for the end of everybody here, and kill who takes too long."""
        while self._all:
            process = self._all.pop()
            await process.ends_within(self._most_drain_s)

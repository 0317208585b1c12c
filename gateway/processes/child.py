"""A process that the supervisor has started: what it says of itself, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final, Self

from gateway.processes.line import ControlLine

START_S: Final = 30.0
"""A process that neither listens nor ends for so long is given up."""

Hear = Callable[["NodeProcess", dict[str, Any]], None]


class NodeProcess:
    """Started with :meth:`start`. ``up``: it listens; ``ready``: it hears Redis as well. ``hear`` gets what it asks."""

    def __init__(self, process: asyncio.subprocess.Process, line: ControlLine, hear: Hear) -> None:
        self.up = asyncio.Event()
        self.ready = asyncio.Event()
        self._process = process
        self._line = line
        self._hear = hear
        self._life = asyncio.create_task(self._live())

    @classmethod
    async def start(cls, number: int, listening: socket.socket, environ: Mapping[str, str], hear: Hear) -> Self:
        ours, theirs = socket.socketpair()
        with theirs:
            inherited = (listening.fileno(), theirs.fileno())
            command = (sys.executable, "-m", "gateway.processes.member", number, *inherited)
            process = await asyncio.create_subprocess_exec(
                *map(str, command),
                stdin=asyncio.subprocess.DEVNULL,
                env=dict(environ),
                pass_fds=inherited,
                start_new_session=True,  # Ctrl-C in the terminal is for the supervisor, which passes it on in its words
            )
        return cls(process, await ControlLine.over(ours), hear)

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self, **message: Any) -> None:
        self._line.tell(**message)

    async def _live(self) -> None:
        async for message in self._line.messages():
            if message["say"] == "up":
                self.up.set()
            elif message["say"] == "ready":
                self.ready.set()
            else:
                self._hear(self, message)
        self._line.close()

    async def comes(self, event: asyncio.Event) -> bool:
        """Whether ``up`` or ``ready`` comes true: False where the process ends before, or takes too long."""
        ended = asyncio.create_task(self.ended())
        happened = asyncio.create_task(event.wait())
        try:
            await asyncio.wait((ended, happened), timeout=START_S, return_when=asyncio.FIRST_COMPLETED)
            return event.is_set() and not ended.done()
        finally:
            for task in (ended, happened):
                task.cancel()

    async def ended(self) -> int:
        """Wait for its end; the exit code, negative for a signal."""
        code = await self._process.wait()
        await asyncio.wait((self._life,))
        return code

    def stop(self) -> None:
        """Ask it to let its streams go and end. One that does not listen yet ends at once."""
        if self.up.is_set():
            self.tell(do="stop")
        else:
            self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    async def ends_within(self, seconds: float) -> int:
        """Its exit code; killed where it takes longer."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return await self.ended()
        self.kill()
        return await self.ended()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

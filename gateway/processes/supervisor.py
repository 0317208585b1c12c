"""The supervisor: keeps several nodes running on one port, and passes on what it is told by signals.

SIGTERM and SIGINT end all, as they end one node: the second one cuts the drain short. SIGHUP replaces one process after
the other. The supervisor itself touches neither clients nor Redis.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from gateway.listening import url
from gateway.logs.log import Log
from gateway.processes.child import NodeProcess
from gateway.processes.gathering import Gathering
from gateway.processes.place import NodePlace

log = Log("gateway.processes")

END_S: Final = 10.0
"""So much longer than its drain window a process may take to end; it is killed then."""

Check = Callable[[], str | None]
"""Reads the settings anew; a sentence where a process would not start with them."""


def run(
    sockets: Sequence[socket.socket], environ: Mapping[str, str], *, drain_s: float, root: str, check: Check
) -> int:
    """Serve with one process per socket until a signal; the exit code. ``environ`` holds the settings."""
    with asyncio.Runner() as runner:
        return runner.run(_run(sockets, environ, drain_s, root, check))


async def _run(
    sockets: Sequence[socket.socket], environ: Mapping[str, str], drain_s: float, root: str, check: Check
) -> int:
    supervisor = Supervisor(sockets, environ, drain_s + END_S, check)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stop)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup means it
        loop.add_signal_handler(signal.SIGHUP, supervisor.replace_all)
    return await supervisor.serve(url(sockets[0]) + root)


class Supervisor:
    """Of one process per socket."""

    def __init__(
        self, sockets: Sequence[socket.socket], environ: Mapping[str, str], most_drain_s: float, check: Check
    ) -> None:
        self._environ = environ
        self._check = check
        self._places = [NodePlace(number, sock, self._start, most_drain_s) for number, sock in enumerate(sockets)]
        self._stop = asyncio.Event()
        self._wish = asyncio.Event()
        self._gathering = Gathering(lambda: {str(place.number): place.process for place in self._places})

    async def serve(self, address: str) -> int:
        """Until :meth:`stop`; 1 where not all could be started."""
        code = 0
        if all(await asyncio.gather(*(place.fill() for place in self._places))):
            log.info("processes.started", url=address, processes=len(self._places), pid=os.getpid())
            await self._keep()
        elif not self._stop.is_set():
            code = 1  # who did not start has said why
        for place in self._places:
            place.stop()
        await asyncio.gather(*(place.empty() for place in self._places))
        log.info("processes.stopped")
        return code

    async def _keep(self) -> None:
        parts = [self._replace(), *(place.keep() for place in self._places)]
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(part) for part in parts]
        stop = asyncio.create_task(self._stop.wait())
        done, _ = await asyncio.wait((*tasks, stop), return_when=asyncio.FIRST_COMPLETED)
        for place in self._places:
            place.stop()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for task in done:
            task.result()

    def stop(self) -> None:
        """End all; called again, at once."""
        if self._stop.is_set():
            for place in self._places:
                place.hurry()
        self._stop.set()
        for place in self._places:
            place.stop()

    def replace_all(self) -> None:
        """Replace one after the other; called meanwhile, once more afterwards."""
        self._wish.set()

    async def _replace(self) -> None:
        while not self._stop.is_set():
            await self._wish.wait()
            self._wish.clear()
            problem = self._check()
            if problem is not None:
                log.warning("processes.not_replaced", words=problem)
                continue
            for place in self._places:
                if not await place.replace():
                    log.warning("processes.not_replaced", words=f"A new process {place.number} did not start.")
                    break

    async def _start(self, number: int, sock: socket.socket) -> NodeProcess:
        return await NodeProcess.start(number, sock, self._environ, self._hear)

    def _hear(self, process: NodeProcess, message: dict[str, Any]) -> None:
        self._gathering.hear(process, message)

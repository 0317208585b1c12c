"""``python -m gateway.processes.member NUMBER SOCKET LINE``: one node of several on a port, under a supervisor.

SOCKET and LINE are file descriptors that it has inherited: where it listens, and its line to the supervisor.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import sys
from collections.abc import Mapping
from typing import Any, Final

from gateway import serving
from gateway.metrics.exposition import MetricFigures
from gateway.processes.line import ControlLine
from gateway.settings.settings import Settings, SettingsError

READY_POLL_S: Final = 0.05
GATHER_S: Final = 2.0
"""The supervisor waits less than this for the others."""
ORPHAN_S: Final = 4.0
"""A process without a supervisor ends within ``GATEWAY_DRAIN_S`` and this, whatever its clients do."""

Families = Mapping[str, list[MetricFigures]]


class Membership:
    """What a process and its supervisor say to each other, seen from the process."""

    def __init__(self, number: str, sock: socket.socket) -> None:
        self._number = number
        self._sock = sock
        self._line: ControlLine | None = None
        self._asked: dict[int, asyncio.Future[Families]] = {}
        self._numbers = itertools.count()
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self, process: serving.ServingProcess) -> None:
        """It listens."""
        self._process = process
        self._tasks = [asyncio.create_task(self._listen())]

    async def _listen(self) -> None:
        line = self._line = await ControlLine.over(self._sock)
        line.tell(say="up")
        self._tasks.append(asyncio.create_task(self._tell_ready(line)))
        try:
            async for message in line.messages():
                self._hear(line, message)
        finally:
            # The supervisor has gone: nobody would start anything again here, nor stop it.
            line.close()
            self._process.server.stop()
            drain_s = self._process.node.settings.drain_s
            asyncio.get_running_loop().call_later(drain_s + ORPHAN_S, os._exit, 1)

    async def _tell_ready(self, line: ControlLine) -> None:
        while not self._process.node.knows_enough:
            await asyncio.sleep(READY_POLL_S)
        line.tell(say="ready")

    def _hear(self, line: ControlLine, message: dict[str, Any]) -> None:
        match message:
            case {"do": "stop"}:
                self._process.server.stop()
            case {"do": "hurry"}:
                self._process.hurry()
            case {"do": "retire"}:
                self._process.server.retire()
            case {"do": "count", "for": number}:
                line.tell(say="counted", number=number, figures=self._process.node.figures())
            case {"do": "take", "for": number, "figures": figures}:
                waiting = self._asked.get(number)
                if waiting is not None and not waiting.done():
                    waiting.set_result(figures)

    async def gather(self) -> Families:
        """What all processes count; this one alone where the supervisor has gone."""
        if self._line is None:
            return {self._number: self._process.node.figures()}
        number = next(self._numbers)
        waiting: asyncio.Future[Families] = asyncio.get_running_loop().create_future()
        self._asked[number] = waiting
        self._line.tell(say="gather", number=number)
        try:
            async with asyncio.timeout(GATHER_S):
                return await waiting
        except TimeoutError:
            return {self._number: self._process.node.figures()}
        finally:
            del self._asked[number]


def main(number: str, listening: int, line: int) -> int:
    """Serve until the supervisor says so, or has gone, or SIGTERM; the exit code."""
    try:
        settings = Settings.from_env(os.environ)
    except SettingsError as error:  # a file has changed since the supervisor looked
        print(f"sse-gateway: {error}", file=sys.stderr)
        return 1
    membership = Membership(number, socket.socket(fileno=line))
    with socket.socket(fileno=listening) as sock:
        return serving.run(settings, sock, gather=membership.gather, started=membership.begin)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))

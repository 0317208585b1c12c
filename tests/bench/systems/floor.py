"""The floor: a C loop that does nothing but the socket writes."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import ClassVar, Final, Self

from tests.bench import payload, programs
from tests.bench.load import LoadClient, Request
from tests.bench.processes import Talker, give_own_core
from tests.bench.systems.system import System
from tests.support.ports import free_port

CHUNK_BYTES: Final = 16 * 1024


class Floor(System):
    """One ``write()`` per event and connection. It begins with a fixed number of connections, made at once."""

    name = "floor"
    label = "bare write() in C"
    burst_deliveries = 250_000
    resumes = False
    joined: ClassVar[bool] = False

    def __init__(self) -> None:
        self.port = free_port()
        self._program: Talker | None = None

    @property
    def pids(self) -> Sequence[int]:
        return (self._talker().pid,)

    def request(self, channel: str) -> Request:
        kind, _, number = channel.partition(":")
        return Request(f"/{number}" if kind == "job" else "/all")

    def listen(self, requests: Iterable[Request]) -> LoadClient:
        """Its program takes as many connections as there are requests, and those once."""
        plan = list(requests)
        self.__exit__()
        self._program = Talker([programs.build("floor"), self.port, len(plan)])
        self._program.hear()
        give_own_core(self._program.pid)
        return super().listen(plan)

    def send(self, channel: str) -> None:
        self._talker().say(_frame(channel, _block()))

    def send_many(self, channels: Iterable[str]) -> None:
        self._talker().say(b"".join(_frame(channel, _block()) for channel in channels))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._program is not None:
            self._program.close()
            self._program = None

    def _talker(self) -> Talker:
        assert self._program is not None, "the floor runs from its first listen() on"
        return self._program


class JoinedFloor(Floor):
    """The same with neighbouring events of a channel joined, up to 16 KiB per ``write()``: the floor of a burst."""

    name = "floor-joined"
    label = "bare write() in C, 16 KiB each"
    burst_deliveries = 8_000_000

    def send_many(self, channels: Iterable[str]) -> None:
        waiting: list[bytes] = []
        before: str | None = None
        for channel in channels:
            if waiting and (channel != before or sum(map(len, waiting)) + 256 > CHUNK_BYTES):
                self._talker().say(_frame(before or "", b"".join(waiting)))
                waiting = []
            waiting.append(_block())
            before = channel
        if waiting:
            self._talker().say(_frame(before or "", b"".join(waiting)))


def _block() -> bytes:
    return b"event: tick\ndata: %b\n\n" % payload.encoded()


def _frame(channel: str, block: bytes) -> bytes:
    kind, _, number = channel.partition(":")
    return struct.pack("=ii", int(number) if kind == "job" else -1, len(block)) + block

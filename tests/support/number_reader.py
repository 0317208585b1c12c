"""A client that reads all it gets and keeps only the numbers in it: for loads that would not fit into memory."""

from __future__ import annotations

import asyncio
import re
from types import TracebackType
from typing import Final, Self

from tests.support.raw_peer import RawPeer, stream_request
from tests.support.waiting import PATIENCE_S, until

NUMBER: Final = re.compile(rb'data: \{"n":(\d+)[,}]')
KEPT: Final = 40
"""Bytes at the end of a piece that may hold the beginning of a match."""
MAX_READ: Final = 1024 * 1024


class NumberReader:
    """Reads a stream of events whose data is ``{"n": number, …}`` in a task of its own; use it as ``async with``."""

    def __init__(self, base: str, path: str, *, sub: str = "ann") -> None:
        self.numbers: list[int] = []
        self._base = base
        self._request = stream_request(path, sub=sub)
        self._peer: RawPeer | None = None
        self._task: asyncio.Task[None] | None = None

    async def wait_for(self, number: int, timeout_s: float = PATIENCE_S) -> None:
        await until(lambda: bool(self.numbers) and self.numbers[-1] == number, f"number {number}", timeout_s)

    async def __aenter__(self) -> Self:
        self._peer = await RawPeer.ask(self._base, self._request)
        await self._peer.read_until(b"stream.open")
        self._task = asyncio.create_task(self._read(self._peer))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None and self._peer is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._peer.close()

    async def _read(self, peer: RawPeer) -> None:
        rest = b""
        while data := await peer.read(MAX_READ):
            peer.received = b""
            rest += data
            end = 0
            for found in NUMBER.finditer(rest):
                self.numbers.append(int(found[1]))
                end = found.end()
            rest = rest[max(end, len(rest) - KEPT) :]

"""The line between the supervisor and one process: JSON objects, one per line, over a pair of sockets.

Its end is the end of whoever holds the other side, however that came about.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any, Final, Self

import orjson

MAX_MESSAGE: Final = 16 * 1024 * 1024
"""The figures of all processes are the largest: some 50 KiB each."""


class ControlLine:
    """One side of it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, sock: socket.socket) -> Self:
        """Takes the connected socket over."""
        return cls(*await asyncio.open_connection(sock=sock, limit=MAX_MESSAGE))

    def tell(self, **message: Any) -> None:
        """Nothing happens where the other side has gone."""
        if not self._writer.is_closing():
            # Lists of named tuples; orjson leaves those to whoever calls it.
            self._writer.write(orjson.dumps(message, default=list) + b"\n")

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        """What the other side says, until it has gone."""
        with contextlib.suppress(OSError):
            async for line in self._reader:
                yield orjson.loads(line)

    def close(self) -> None:
        self._writer.close()

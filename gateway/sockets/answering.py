"""What a request's answer sees in place of the transport."""

from __future__ import annotations

import asyncio
from typing import Protocol


class Ending(Protocol):
    """A connection that knows how it is ended after an answer."""

    def end(self) -> None: ...


class Answering:
    """The transport, whose end waits until the peer can have read the answer."""

    __slots__ = ("_connection", "_transport")

    def __init__(self, connection: Ending, transport: asyncio.Transport) -> None:
        self._connection = connection
        self._transport = transport

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        self._connection.end()


class Held:
    """Stands in for a transport and its flow control, and keeps what is written."""

    write_paused = False

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.pieces.append(data)

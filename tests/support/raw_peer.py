"""A TCP client without manners: it sends what it is told, reads when it is told, and leaves in every possible way."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import socket
import struct
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from tests.support.tokens import token
from tests.support.waiting import PATIENCE_S

DROP_ALL: Final = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
"""A socket filter of one instruction: let nothing in."""


def stream_request(path: str, *, sub: str = "ann", headers: str = "", version: str = "1.1") -> bytes:
    """The request of an EventSource whose token reads all channels; ``headers`` are further lines with CRLF."""
    bearer = token(sub, channels=["*"])
    return (
        f"GET {path} HTTP/{version}\r\nHost: test\r\nAccept: text/event-stream\r\n"
        f"Authorization: Bearer {bearer}\r\n{headers}\r\n"
    ).encode()


class RawPeer:
    """One connection; ``received`` is everything read so far. As ``async with`` it is closed at the end."""

    def __init__(self, sock: socket.socket) -> None:
        self.received = b""
        self.broken = False
        """Whether it ended otherwise than with FIN."""
        self._sock = sock
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def connect(cls, base: str, *, receive_buffer: int | None = None) -> Self:
        parts = urlsplit(base)
        sock = socket.socket()
        try:
            sock.setblocking(False)
            if receive_buffer is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            await asyncio.get_running_loop().sock_connect(sock, (parts.hostname, parts.port))
        except BaseException:
            sock.close()
            raise
        return cls(sock)

    @classmethod
    async def ask(cls, base: str, request: bytes, *, receive_buffer: int | None = None) -> Self:
        """Connect and send."""
        peer = await cls.connect(base, receive_buffer=receive_buffer)
        await peer.send(request)
        return peer

    async def send(self, data: bytes) -> None:
        """Send, as far as the other side still takes it."""
        with contextlib.suppress(ConnectionError):
            await self._loop.sock_sendall(self._sock, data)
        await asyncio.sleep(0)  # a send that fails at once would not let a reader of this loop have its turn

    async def read(self, size: int = 65_536) -> bytes:
        """What comes next; nothing at the end."""
        try:
            data = await self._loop.sock_recv(self._sock, size)
        except ConnectionError:
            data, self.broken = b"", True
        self.received += data
        return data

    async def read_until(self, marker: bytes, timeout: float = PATIENCE_S) -> bytes:
        """Everything so far, as soon as ``marker`` is in it. Raises ``EOFError`` if the end comes first."""
        async with asyncio.timeout(timeout):
            while marker not in self.received:
                if not await self.read():
                    raise EOFError(f"The connection ended without {marker!r}: {self.received[-500:]!r}")
        return self.received

    async def read_to_end(self, timeout: float = PATIENCE_S) -> bytes:
        """Everything, when the other side has ended the connection."""
        async with asyncio.timeout(timeout):
            while await self.read():
                pass
        return self.received

    def half_close(self) -> None:
        """Send FIN and go on reading."""
        self._sock.shutdown(socket.SHUT_WR)

    def vanish(self) -> None:
        """Acknowledge nothing any more, like a machine without power: the connection stays open on the other side."""
        program = struct.pack("HL", 1, ctypes.addressof(DROP_ALL))
        self._sock.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_ATTACH_FILTER", 26), program)

    def reset(self) -> None:
        """Close it with RST."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Close it with FIN, or RST where something is left unread. May be called twice."""
        if self._sock.fileno() >= 0:
            # A cancelled read is forgotten at the loop's next turn, when another socket may have this one's number.
            self._loop.remove_reader(self._sock)
            self._loop.remove_writer(self._sock)
        self._sock.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

"""What an attack is, and the sockets that it is made with."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.bench.systems.gateway import Gateway
from tests.support.ports import HOST
from tests.support.tokens import token

ELSEWHERE: Final = "127.0.0.2"
"""Another loopback address than the viewers'."""
MALLORY: Final = "mallory"
SETTLED: Final[Mapping[str, object]] = {}


def nothing(system: Gateway) -> None:
    """Most attacks need no more than the node."""


@dataclass(frozen=True)
class Attack:
    """``strike`` gets the node's port, and attacks until it is cancelled. Its load is bounded by its sockets."""

    name: str
    label: str
    strike: Callable[[int], Awaitable[None]]
    settings: Mapping[str, object] = field(default_factory=lambda: SETTLED)
    """Of the node, where the usual ones would not let it in, or would not keep it out as they usually do."""
    prepare: Callable[[Gateway], None] = nothing
    """Called before the first round: what has to be there in Redis."""


def head(method: str, path: str, scope: str | None = None) -> bytes:
    """The head of a request of somebody with a good token, without the empty line."""
    bearer = token(MALLORY, ttl_s=7200, scope=scope)
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\n".encode()


async def again_and_again(
    port: int,
    sockets: int,
    strike: Callable[[AttackPeer], Awaitable[None]],
    *,
    pause_s: float = 0.0,
    address: str = HOST,
) -> None:
    """So many connections at a time that each do this; who is done, or is cut off, comes anew after the pause."""

    async def one() -> None:
        while True:
            with contextlib.suppress(OSError):
                async with AttackPeer(port, address) as peer:
                    await strike(peer)
            await asyncio.sleep(pause_s)

    await asyncio.gather(*[one() for _ in range(sockets)])


async def flood(port: int, sockets: int, head: bytes, piece: bytes) -> None:
    """So many connections that each send a head and then this piece again and again; who is cut off comes anew."""

    async def strike(peer: AttackPeer) -> None:
        await peer.send(head)
        while piece:
            await peer.send(piece)

    await again_and_again(port, sockets, strike)


async def hold(port: int, sockets: int, request: bytes, *, pause_s: float = 0.0, address: str = HOST) -> None:
    """So many connections that each send this and wait; who is cut off comes anew."""

    async def strike(peer: AttackPeer) -> None:
        await peer.send(request)
        await peer.wait_for_end()

    await again_and_again(port, sockets, strike, pause_s=pause_s, address=address)


async def ask(port: int, sockets: int, request: bytes) -> None:
    """So many connections that each ask this, read the answer and ask again."""

    async def strike(peer: AttackPeer) -> None:
        await peer.send(request)
        while await peer.read():
            await peer.send(request)

    await again_and_again(port, sockets, strike)


class AttackPeer:
    """One connection."""

    def __init__(self, port: int, address: str = HOST) -> None:
        self._port = port
        self._address = address
        self._loop = asyncio.get_running_loop()
        self._sock = socket.socket()
        self._sock.setblocking(False)

    async def send(self, data: bytes) -> None:
        await self._loop.sock_sendall(self._sock, data)

    async def read(self) -> bytes:
        return await self._loop.sock_recv(self._sock, 65_536)

    def abort_at_end(self) -> None:
        """Let the connection end with a reset."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def wait_for_end(self) -> None:
        while await self.read():
            pass

    async def __aenter__(self) -> AttackPeer:
        try:
            self._sock.bind((self._address, 0))
            await self._loop.sock_connect(self._sock, (HOST, self._port))
        except BaseException:
            self._sock.close()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        self._sock.close()

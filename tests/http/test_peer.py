"""The socket of an open stream: bytes go to the kernel directly, and what it does not take is kept in order."""

from __future__ import annotations

import asyncio
import itertools
import socket
from typing import Any

from gateway.fanout.channel import Channel
from gateway.fanout.connection import Connection
from gateway.fanout.state import State
from gateway.sockets.peer import StreamPeer
from tests.unit.hub_world import PLAIN


async def stream() -> tuple[Connection, StreamPeer, socket.socket]:
    """An open stream, and the far end of its socket."""
    near, far = socket.socketpair()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, near)
    sockets: set[Any] = set()
    peer = StreamPeer(transport, sockets, chunked=True, again=None, paused=False)
    connection = Connection(
        "c",
        PLAIN,
        peer,
        [Channel("topic:a")],
        limit=1 << 20,
        chunked=True,
        subject=None,
        admits=lambda channel, owner: True,
        wake=lambda: None,
        now=0.0,
    )
    peer.attach(connection)
    connection.begun()
    far.setblocking(False)
    return connection, peer, far


async def test_what_the_kernel_does_not_take_is_kept_in_order() -> None:
    """The stream hears at once that its peer is full, and goes on when all has been taken."""
    connection, peer, far = await stream()
    loop, written = asyncio.get_running_loop(), b""
    for number in itertools.count():
        if connection.paused:
            break
        written += (piece := b"%6d" % number * 1000)
        connection.push(piece)
        connection.write_pending()
    assert 0 < peer.unsent() < len(written)
    for piece in (b"queued", b"while it is full"):
        written += piece
        connection.push(piece)
        connection.write_pending()
    assert connection.waiting == [b"queued", b"while it is full"]
    read = b""
    while len(read) < len(written):
        read += await loop.sock_recv(far, 1 << 16)
    assert read == written
    assert not connection.paused and peer.unsent() == 0
    peer.abort()
    far.close()


async def test_a_socket_that_is_gone_closes_its_stream() -> None:
    """Without an exception where something is written to many."""
    connection, peer, far = await stream()
    far.close()
    peer.write(b"nobody hears this")
    peer.write(b"nor this")
    while connection.state is not State.CLOSED:
        await asyncio.sleep(0)

"""Whether a socket has something to say is asked of the kernel, not of the loop."""

from __future__ import annotations

import asyncio
import socket

import pytest

from gateway.sockets.unread import unread
from tests.support.waiting import until


@pytest.mark.parametrize("ends", [False, True], ids=["bytes", "its end"])
async def test_what_waits_is_seen_until_it_is_taken(ends: bool) -> None:
    near, far = socket.socketpair()
    transport, _ = await asyncio.get_running_loop().connect_accepted_socket(asyncio.Protocol, near)
    assert not unread(transport)
    if ends:
        far.shutdown(socket.SHUT_WR)
    else:
        far.send(b"x")
    assert unread(transport)
    await until(lambda: not unread(transport), "the loop to take it")
    transport.abort()
    await asyncio.sleep(0)
    far.close()


async def test_a_closed_one_has_nothing_to_say() -> None:
    near, far = socket.socketpair()
    transport, _ = await asyncio.get_running_loop().connect_accepted_socket(asyncio.Protocol, near)
    transport.abort()
    await asyncio.sleep(0)
    assert not unread(transport)
    far.close()

"""What takes connections in, where there is no room for one."""

from __future__ import annotations

import asyncio
import os
import resource
import socket

import pytest

from gateway.sockets.acceptor import Acceptor
from gateway.sockets.turns import new_loop
from tests.support.ports import HOST


class Greeter(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"welcome")
        transport.close()


async def greeted_late(caplog: pytest.LogCaptureFixture) -> bytes:
    """Connect where the process has no file left for it, and hear what comes when it has."""
    loop = asyncio.get_running_loop()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.create_server((HOST, 0)) as sock, socket.socket() as client:
        acceptor = Acceptor(loop, sock, Greeter, at_once=1, backlog=8)
        client.setblocking(False)
        lowest_free = os.dup(sock.fileno())
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
        try:
            await loop.sock_connect(client, sock.getsockname())
            while "node.no_room" not in caplog.text:
                await asyncio.sleep(0)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        heard = await loop.sock_recv(client, 100)
        acceptor.close()
        return heard


def test_a_connection_for_which_no_file_is_left_is_accepted_later(caplog: pytest.LogCaptureFixture) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(asyncio.wait_for(greeted_late(caplog), 30)) == b"welcome"
    assert caplog.text.count("node.no_room") == 1

"""Where a node listens, under which names it answers, and how many sockets it holds for whom."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.http1 import request
from tests.support.node import Node
from tests.support.raw_peer import RawPeer, stream_request
from tests.support.tokens import token
from tests.support.waiting import until

PATH = "/v1/events?channel=topic:a"
FILES = 400


def shell(script: str) -> tuple[str, ...]:
    """A command for a node: ``$0`` is Python, ``$4`` the port."""
    return ("sh", "-c", script, sys.executable)


def files_of(node: Node) -> tuple[int, int]:
    """Soft and hard limit of a node's process."""
    line = next(x for x in Path(f"/proc/{node.pid}/limits").read_text().splitlines() if x.startswith("Max open files"))
    soft, hard = line.split()[3:5]
    return int(soft), int(hard)


def idle(node: Node, address: str = "127.0.0.1") -> socket.socket:
    """A connection from this address that says nothing."""
    return socket.create_connection(("127.0.0.1", node.port), timeout=5, source_address=(address, 0))


def first_words(sock: socket.socket) -> bytes:
    """What is answered first; nothing where the connection is ended."""
    try:
        return sock.recv(4096)
    except ConnectionError:
        return b""


def ended(sock: socket.socket) -> bool:
    sock.setblocking(False)
    try:
        return sock.recv(65_536) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


async def test_a_proxy_on_the_ipv4_loopback_is_trusted_also_where_a_node_listens_on_ipv6(
    redis_url: str, prefix: str
) -> None:
    with Node(redis_url, prefix, command=shell('exec "$0" -m gateway serve --host :: --port "$4"')) as node:
        headers = {"Cookie": f"sse_token={token('ann')}", "Origin": "https://app.example", "Host": "app.example"}
        headers["X-Forwarded-Proto"] = "https"
        body = json.dumps({"channels": ["user:ann"]}).encode()
        assert (await request(node.base, "/v1/tickets", method="POST", headers=headers, body=body)).status == 200


async def test_another_name_than_the_allowed_ones_is_answered_with_400(start_node: Callable[..., Node]) -> None:
    node = start_node(ALLOWED_HOSTS="app.example.com,*.wild.org", ANONYMOUS="read")
    for host, status in (("app.example.com:81", 401), ("a.wild.org", 401), ("evil.org", 400), ("", 400)):
        assert (await request(node.base, "/v1/jobs", headers={"Host": host})).status == status
        assert (await request(node.base, "/readyz", headers={"Host": host})).status == 200
    async with await RawPeer.ask(node.base, stream_request(PATH)) as peer:
        assert b" 400 " in (await peer.read_until(b"GATEWAY_ALLOWED_HOSTS")).partition(b"\r\n")[0]
    for lines in ("", "Host: app.example.com\r\nHost: app.example.com\r\n"):
        async with await RawPeer.ask(node.base, f"GET /v1/jobs HTTP/1.1\r\n{lines}\r\n".encode()) as peer:
            assert b" 400 " in (await peer.read_until(b"}}")).partition(b"\r\n")[0]


def test_a_node_raises_its_limit_of_files(redis_url: str, prefix: str) -> None:
    with Node(redis_url, prefix, command=shell('ulimit -Sn 300; exec "$0" -m gateway serve --port "$4"')) as node:
        soft, hard = files_of(node)
        assert soft == hard > 300


async def test_idle_connections_never_take_the_last_sockets(redis_url: str, prefix: str) -> None:
    """The oldest one goes: streams stay, and the next one is answered."""
    script = f'ulimit -n {FILES}; exec "$0" -m gateway serve --port "$4"'
    with Node(redis_url, prefix, command=shell(script), CONNECT_RATE_PER_S=0) as node, ExitStack() as stack:
        assert "node.few_files" in node.log and f"files={FILES}" in node.log
        async with await RawPeer.ask(node.base, stream_request(PATH)) as peer:
            await peer.read_until(b"stream.open")
            crowd = [stack.enter_context(idle(node)) for _ in range(2 * FILES)]
            assert node.readyz() == 200
            await until(lambda: ended(crowd[0]), "the oldest to go")
            assert not ended(crowd[-1])
            assert (await request(node.base, "/livez")).status == 200
            body = b'{"channel":"topic:a","type":"tick","data":1}'
            headers = {"Authorization": f"Bearer {token(scope='publish')}"}
            await request(node.base, "/v1/events", method="POST", headers=headers, body=body)
            await peer.read_until(b"event: tick")
        assert "Traceback" not in node.log and "out of system resource" not in node.log


async def test_streams_never_take_the_last_sockets(redis_url: str, prefix: str) -> None:
    script = f'ulimit -n {FILES}; exec "$0" -m gateway serve --port "$4"'
    settings = {"CONNECT_RATE_PER_S": 0, "MAX_CONNECTIONS_PER_USER": 0}
    with Node(redis_url, prefix, command=shell(script), **settings) as node, ExitStack() as stack:
        ends = []
        for _ in range(FILES):
            peer = stack.enter_context(idle(node))
            peer.sendall(stream_request(PATH))
            ends.append(peer)
        assert node.readyz() == 200
        answers = [await asyncio.to_thread(first_words, peer) for peer in ends]
        assert any(b"node_limit" in answer for answer in answers)


@pytest.mark.parametrize("slow", [b"", b"GET /livez HTTP/1.1\r\nHost:"], ids=["silent", "half a head"])
async def test_an_address_costs_itself_the_oldest_connection_first(
    start_node: Callable[..., Node], slow: bytes
) -> None:
    node = start_node(MAX_CONNECTIONS=1, TRUSTED_PROXIES="none")
    share = 1001 // 4
    with ExitStack() as stack:
        mine = stack.enter_context(idle(node, "127.0.0.3"))
        crowd: list[socket.socket] = []

        async def one_more() -> bool:
            crowd.append(stack.enter_context(idle(node, "127.0.0.2")))
            crowd[-1].sendall(slow)
            return len(crowd) > share and ended(crowd[0])

        for _ in range(share):
            await one_more()
        assert not ended(crowd[0])
        await until(one_more, "the oldest to go")
        assert len(crowd) < 1001 - 1 and not ended(mine) and not ended(crowd[-1])


async def test_a_trusted_proxy_may_have_any_number_of_connections(start_node: Callable[..., Node]) -> None:
    node = start_node(MAX_CONNECTIONS=1)
    with ExitStack() as stack:
        crowd = [stack.enter_context(idle(node)) for _ in range(600)]
        for sock in crowd:
            sock.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        answers = [await asyncio.to_thread(first_words, sock) for sock in crowd]
        assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)
        assert not any(ended(sock) for sock in crowd)

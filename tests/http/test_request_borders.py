"""Where one request ends and the next begins: nothing that was not read is ever taken for a request."""

from __future__ import annotations

import asyncio

import pytest

from publisher import Publisher
from tests.support.node import Node
from tests.support.raw_peer import RawPeer, stream_request

LIVEZ = b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n"


@pytest.mark.parametrize("declared", ["Content-Length: 300\r\n", "Transfer-Encoding: chunked\r\n"])
async def test_the_declared_body_of_a_stream_s_request_is_never_answered_as_a_request(
    node: Node, publisher: Publisher, name: str, declared: str
) -> None:
    """The stream ends, and the connection with it, whether or not the body ever comes."""
    publisher.create_job(name, kind="character", owner="ann")
    async with await RawPeer.ask(node.base, stream_request(f"/v1/jobs/{name}/events", headers=declared)) as peer:
        await peer.read_until(b"stream.open")
        publisher.update_job(name, status="completed")
        await peer.read_to_end()
        await peer.send(LIVEZ)
        await peer.read_to_end()
    assert peer.received.count(b"HTTP/1.1 ") == 1


async def test_what_is_sent_during_a_farewell_ends_the_connection(node: Node, publisher: Publisher, name: str) -> None:
    """The video dialect waits a moment after ``complete``: a request in it is neither served nor lost silently."""
    publisher.create_job(name, kind="video", owner="ann")
    async with await RawPeer.ask(node.base, stream_request(f"/jobs/{name}/stream")) as peer:
        await peer.read_until(b"\r\n\r\n")
        await asyncio.to_thread(publisher.update_job, name, status="completed")
        await peer.read_until(b"event: complete")
        await peer.send(LIVEZ)
        await peer.read_to_end()
    assert peer.received.count(b"HTTP/1.1 ") in (1, 2)
    assert b"connection: close" in peer.received or peer.received.count(b"HTTP/1.1 ") == 1


async def test_a_request_behind_an_upgrade_in_one_piece_is_not_lost_silently(node: Node) -> None:
    upgrade = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    async with await RawPeer.ask(node.base, upgrade + LIVEZ) as peer:
        answer = await peer.read_to_end()
    assert answer.count(b"HTTP/1.1 200") == 1 and b"connection: close" in answer


@pytest.mark.parametrize("version", ["2.0", "0.9"])
async def test_a_request_of_another_version_is_answered_with_400_and_the_end(node: Node, version: str) -> None:
    async with await RawPeer.ask(node.base, f"GET /livez HTTP/{version}\r\nHost: test\r\n\r\n".encode()) as peer:
        answer = await peer.read_to_end()
    assert b" 400 " in answer.partition(b"\r\n")[0] and b"connection: close" in answer


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_request_of_a_known_version_is_served(node: Node, version: str) -> None:
    async with await RawPeer.ask(node.base, f"GET /livez HTTP/{version}\r\nHost: test\r\n\r\n".encode()) as peer:
        assert b" 200 " in (await peer.read_until(b"alive")).partition(b"\r\n")[0]

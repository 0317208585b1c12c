"""A client that does not read the answers it already has: its stream is counted and ended like any other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator

import pytest

from publisher import Publisher
from tests.support.eventsource import EventSource
from tests.support.http1 import request
from tests.support.meter import Meter
from tests.support.node import Node
from tests.support.raw_peer import RawPeer
from tests.support.tokens import token
from tests.support.waiting import until

STATIC = b"GET /static/sse-client.js HTTP/1.1\r\nHost: test\r\n\r\n"
EVENT_PATH = "/v1/clients/ann/events"
RECEIVE_BUFFER = 2048
SOON_S = 10.0
"""Nothing here waits for more than what the node does at once."""


@pytest.fixture
def pub(redis_url: str, prefix: str) -> Iterator[Publisher]:
    with Publisher.from_url(redis_url, prefix=prefix) as running:
        yield running


async def turns(node: Node) -> None:
    """Return when the node has dealt with what was sent before: later requests of others are served later."""
    for _ in range(5):
        assert (await request(node.base, "/livez")).status == 200


async def stream_behind_unread_answers(node: Node, bearer: str) -> RawPeer:
    """A stream of ann's whose socket still holds two answers; it is counted already."""
    peer = await RawPeer.connect(node.base, receive_buffer=RECEIVE_BUFFER)
    headers = f"Host: test\r\nConnection: close\r\nAuthorization: Bearer {bearer}\r\n"
    stream = f"GET {EVENT_PATH} HTTP/1.1\r\n{headers}\r\n".encode()
    try:
        for sent in (STATIC, STATIC, stream):
            await peer.send(sent)
            await turns(node)
        await Meter(node).wait_for("connections", 1, SOON_S)
    except BaseException:
        peer.close()
        raise
    return peer


async def test_a_revocation_ends_a_stream_behind_unread_answers(
    pub: Publisher, start_node: Callable[..., Node]
) -> None:
    node = start_node()
    admin = {"Authorization": f"Bearer {token('root', scope='admin')}"}
    async with await stream_behind_unread_answers(node, token("ann")) as peer:
        got = await request(node.base, "/v1/clients/ann?revoke=true", method="DELETE", headers=admin)
        assert json.loads(got.body)["disconnected"] == 1
        pub.publish("client:ann", "secret", "after the revocation")
        assert b"after the revocation" not in await peer.read_to_end()


async def test_an_expiry_ends_a_stream_behind_unread_answers(pub: Publisher, start_node: Callable[..., Node]) -> None:
    node = start_node()
    short = token("ann", ttl_s=3)
    async with await stream_behind_unread_answers(node, short) as peer:
        async with EventSource(node.base, EVENT_PATH, token=short) as other:  # whose end shows when it is time
            await other.wait_stopped()
            assert other.events[-1].json()["reason"] == "token_expired"
        pub.publish("client:ann", "secret", "after the expiry")
        assert b"after the expiry" not in await peer.read_to_end()


async def test_a_drain_ends_cleanly_with_a_stream_behind_unread_answers(start_node: Callable[..., Node]) -> None:
    node = start_node(DRAIN_S=1)
    async with await stream_behind_unread_answers(node, token("ann")) as peer:
        node.terminate()
        assert await asyncio.to_thread(node.wait) == 0
        await peer.read_to_end()
    assert "timeout graceful shutdown exceeded" not in node.log and "Traceback" not in node.log


async def test_a_call_whose_body_ends_after_the_revocation_is_not_carried_out(
    pub: Publisher, start_node: Callable[..., Node]
) -> None:
    node = start_node()
    worker = token("worker", scope="publish")
    admin = {"Authorization": f"Bearer {token('root', scope='admin')}"}
    body = b'{"job_id":"late","kind":"character"}'
    head = f"POST /v1/jobs HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {worker}\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    async with await RawPeer.ask(node.base, head.encode() + body[:-1]) as peer:
        await turns(node)
        await request(node.base, "/v1/clients/worker?revoke=true", method="DELETE", headers=admin)
        await until(lambda: _is_refused(node, worker), "the order to arrive")
        await peer.send(body[-1:])
        assert b"HTTP/1.1 401" in await peer.read_until(b"revoked")
    assert pub.get_job("late") is None


async def test_a_list_that_is_read_slowly_ends_with_the_right_to_read_it(
    pub: Publisher, start_node: Callable[..., Node]
) -> None:
    node = start_node()
    for number in range(10):
        with pub.job(f"j{number}", kind="k", owner="ann") as job:
            job.log("begun")
            if number:
                job.complete("x" * 200_000)
            else:
                job.retrying("again")
    admin = {"Authorization": f"Bearer {token('root', scope='admin')}"}
    bearer = token("ann")
    asked = f"GET /v1/jobs HTTP/1.1\r\nHost: test\r\nConnection: close\r\nAuthorization: Bearer {bearer}\r\n\r\n"
    async with await RawPeer.connect(node.base, receive_buffer=RECEIVE_BUFFER) as peer:
        await peer.send(asked.encode())
        await peer.read_until(b'"job_id":"j8"')
        await request(node.base, "/v1/clients/ann?revoke=true", method="DELETE", headers=admin)
        await until(lambda: _is_refused(node, bearer), "the order to arrive")
        pub.update_job("j0", message="after the revocation")
        got = await peer.read_to_end()
    assert b'],"more":' in got
    assert b'"job_id":"j1"' not in got  # no buffer between the two holds what is left after the second job
    assert b"after the revocation" not in got


async def _is_refused(node: Node, bearer: str) -> bool:
    return (await request(node.base, "/v1/jobs", headers={"Authorization": f"Bearer {bearer}"})).status == 401

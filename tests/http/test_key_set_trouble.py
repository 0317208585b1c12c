"""A key-set endpoint that fails in any way costs new tokens their time and nobody else anything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from publisher import Publisher
from tests.support.eventsource import EventSource
from tests.support.http1 import request
from tests.support.key_server import KeyServer
from tests.support.node import Node
from tests.support.tokens import key_pair, token
from tests.support.waiting import until

KEY, NEW = key_pair("RS256"), key_pair("RS256", number=1)
MEGABYTES = b'{"keys":[' + b" " * (8 << 20) + b"]}"


@pytest.fixture
def endpoint() -> Iterator[KeyServer]:
    with KeyServer(k1=KEY) as running:
        yield running


@pytest.fixture
def node(endpoint: KeyServer, start_node: Callable[..., Node]) -> Node:
    return start_node(JWKS_URL=endpoint.url, JWT_ALGORITHMS="RS256", ANONYMOUS="read", DRAIN_S=0, LOG_LEVEL="debug")


def bearer(sub: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(sub, key=KEY, headers={'kid': 'k1'})}"}


async def status(node: Node, sub: str) -> int:
    return (await request(node.base, "/v1/jobs", headers=bearer(sub))).status


def silent(endpoint: KeyServer) -> None:
    endpoint.open.clear()


def dribbling(endpoint: KeyServer) -> None:
    endpoint.dribbling = True


@pytest.mark.parametrize("trouble", [silent, dribbling])
async def test_streams_of_others_go_on_while_the_keys_do_not_come(
    node: Node, endpoint: KeyServer, redis_url: str, prefix: str, trouble: Callable[[KeyServer], None]
) -> None:
    """The waiting call is told to come back, and good tokens are good as soon as the endpoint is."""
    trouble(endpoint)
    with Publisher.from_url(redis_url, prefix=prefix) as pub:
        async with EventSource(node.base, "/v1/events?channel=topic:t") as stream:
            await stream.next_of_type("stream.open")
            waiting = asyncio.create_task(status(node, "ann"))
            await until(lambda: endpoint.fetches, "the fetch")
            pub.publish("topic:t", "tick", {"n": 1})
            await stream.next_of_type("tick")
            async with EventSource(node.base, "/v1/events?channel=topic:t") as another:
                await another.next_of_type("stream.open")
            assert not waiting.done()
            assert await waiting == 503
            endpoint.dribbling = False
            endpoint.open.set()
            await until(lambda: _is_good(node), "the keys")
    assert_quiet(node)


async def test_a_node_stops_in_time_while_the_keys_do_not_come(node: Node, endpoint: KeyServer) -> None:
    endpoint.dribbling = True
    waiting = asyncio.create_task(status(node, "ann"))
    await until(lambda: endpoint.fetches, "the fetch")
    node.terminate()
    assert await asyncio.to_thread(node.wait, 15) == 0
    await asyncio.gather(waiting, return_exceptions=True)


@pytest.mark.parametrize(
    ("code", "body", "headers"),
    [
        (500, b"", {}),
        (200, b"<html>not found</html>", {}),
        (200, b'{"keys":[{"kty":"RSA","kid":"k1","n":[],"e":{}}, null, 7]}', {}),
        (200, b"[" * 100_000, {}),
        (200, MEGABYTES, {}),
        (200, b"\xff\xfe", {"Content-Encoding": "gzip"}),
        (302, b"", {"Location": "file:///etc/passwd"}),
        (204, b"", {}),
    ],
    ids=["error", "page", "rubbish", "deep", "megabytes", "bytes", "redirect", "empty"],
)
async def test_what_is_not_a_key_set_lets_nobody_in_and_is_forgotten_when_one_comes(
    node: Node, endpoint: KeyServer, code: int, body: bytes, headers: dict[str, str]
) -> None:
    good = endpoint.body
    endpoint.status, endpoint.body, endpoint.headers = code, body, headers
    assert await status(node, "ann") == 503
    endpoint.status, endpoint.body, endpoint.headers = 200, good, {}
    await until(lambda: _is_good(node), "the keys")
    assert "key set" in node.log
    assert_quiet(node)


async def test_good_tokens_go_on_when_the_endpoint_is_gone(node: Node, endpoint: KeyServer) -> None:
    """Also ones that the node has never seen; keys that nobody has vouched for stay unknown."""
    assert await status(node, "ann") == 200
    endpoint.status, endpoint.body = 500, b""
    forged = {"Authorization": f"Bearer {token('ann', key=NEW, headers={'kid': 'k2'})}"}
    for number in range(5):
        assert await status(node, f"user-{number}") == 200
        assert (await request(node.base, "/v1/jobs", headers=forged)).status == 401
    assert endpoint.fetches == 1
    assert_quiet(node)


async def _is_good(node: Node) -> bool:
    return await status(node, "bob") == 200


def assert_quiet(node: Node) -> None:
    """The log tells of the trouble in few lines, without tokens, and nothing has failed."""
    assert "Traceback" not in node.log and "eyJ" not in node.log
    assert len(node.log) < 20_000

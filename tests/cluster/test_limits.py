"""A limit refuses in a way that the client survives, says when to come back, and lets go of a place at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import pytest

from publisher import Publisher
from tests.support.eventsource import EventSource
from tests.support.http1 import request
from tests.support.meter import Meter, counted
from tests.support.node import Node
from tests.support.raw_peer import RawPeer, stream_request
from tests.support.tokens import token
from tests.support.waiting import until

PATH = "/v1/events?channel=topic:a"


def _reader() -> str:
    return token("ann", channels=["*"])


def _headers() -> dict[str, str]:
    return {"Authorization": f"Bearer {_reader()}"}


OFF = {"MAX_CONNECTIONS": 0, "MAX_CONNECTIONS_PER_USER": 0, "CONNECT_RATE_PER_S": 0}


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("MAX_CONNECTIONS", "node_limit"),
        ("MAX_CONNECTIONS_PER_USER", "user_limit"),
        ("CONNECT_RATE_PER_S", "rate_limit"),
    ],
)
async def test_who_is_over_a_limit_is_told_when_to_come_back(
    start_node: Callable[..., Node], setting: str, reason: str
) -> None:
    """An EventSource by a stream that ends, because any status but 200 would stop it for good; a fetch by 429."""
    node = start_node(**{**OFF, setting: 1})
    async with EventSource(node.base, PATH, token=_reader()) as first:
        await first.next_of_type("stream.open")
        async with EventSource(node.base, PATH, token=_reader()) as refused:
            closing = await refused.next_event()
            assert closing.type == "stream.close"
            assert closing.json()["reason"] == reason and closing.json()["reconnect"] is True
            await refused.wait_stopped()
            assert refused.status == 200 and refused.exchanges[-1].ended == "end"
            assert refused.retry_ms is not None and 5000 <= refused.retry_ms <= 30_000
        fetched = await request(node.base, PATH, headers=_headers())
        assert fetched.status == 429 and f'"{reason}"'.encode() in fetched.body
        assert 5 <= int(fetched.headers["retry-after"]) <= 30
        assert not first.stopped.is_set() and node.readyz() == 200
    assert await Meter(node).figure("connections_refused_total", reason=reason) == 2


@pytest.mark.parametrize("setting", ["MAX_CONNECTIONS", "MAX_CONNECTIONS_PER_USER"])
async def test_a_hundred_at_once_get_as_many_places_as_there_are(
    start_node: Callable[..., Node], redis_url: str, prefix: str, setting: str
) -> None:
    """Not one more and not one less; afterwards all of them are free, here and in Redis."""
    node = start_node(**{**OFF, setting: 10})
    meter = Meter(node)
    for _ in range(3):
        peers = await asyncio.gather(*[RawPeer.ask(node.base, stream_request(PATH)) for _ in range(100)])
        answers = await asyncio.gather(*[peer.read_until(b"stream.") for peer in peers])
        assert sum(b"stream.open" in answer for answer in answers) == 10
        for peer in peers:
            peer.close()
        await meter.wait_for("connections", 0)
    async with EventSource(node.base, PATH, token=_reader()) as again:
        await again.next_of_type("stream.open")
    await meter.wait_for("connections", 0)
    assert await counted(redis_url, prefix) == {}


async def test_a_user_over_the_limit_does_not_keep_others_out(start_node: Callable[..., Node]) -> None:
    node = start_node(MAX_CONNECTIONS_PER_USER=1, CONNECT_RATE_PER_S=0)
    async with EventSource(node.base, PATH, token=_reader()) as ann:
        await ann.next_of_type("stream.open")
        crowd = await asyncio.gather(*[RawPeer.ask(node.base, stream_request(PATH)) for _ in range(200)])
        async with EventSource(node.base, PATH, token=token("bob", channels=["*"])) as bob:
            await bob.next_of_type("stream.open")
        for peer in crowd:
            await peer.read_until(b"user_limit")
            peer.close()


async def test_a_restless_user_leaves_new_streams_to_others(start_node: Callable[..., Node]) -> None:
    """It asks for many times what the node opens in a second, and is refused; another one is not."""
    node = start_node(**{**OFF, "CONNECT_RATE_PER_S": 20})
    over = asyncio.Event()

    async def storm() -> None:
        while not over.is_set():
            async with await RawPeer.ask(node.base, stream_request(PATH)) as peer:
                await peer.read_until(b"stream.")

    storms = [asyncio.create_task(storm()) for _ in range(5)]
    meter = Meter(node)
    for n in range(5):
        async with EventSource(node.base, PATH, token=token(f"user-{n}", channels=["*"])) as other:
            await other.next_of_type("stream.open")
        await until(partial(more_refused, meter, 20 * n), "the storm to go on")
    over.set()
    await asyncio.gather(*storms)


async def more_refused(meter: Meter, count: float) -> bool:
    return await meter.figure("connections_refused_total", reason="rate_limit") > count


async def test_without_a_token_the_address_counts(start_node: Callable[..., Node]) -> None:
    """The one that a trusted proxy names."""
    node = start_node(MAX_CONNECTIONS_PER_USER=1, ANONYMOUS="read")
    here, there = {"X-Forwarded-For": "192.0.2.1"}, {"X-Forwarded-For": "192.0.2.2"}
    async with EventSource(node.base, PATH, headers=here) as first:
        await first.next_of_type("stream.open")
        assert (await request(node.base, PATH, headers=here)).status == 429
        async with EventSource(node.base, PATH, headers=there) as second:
            await second.next_of_type("stream.open")


async def test_of_more_sockets_than_a_node_may_hold_the_oldest_that_says_nothing_is_closed(
    start_node: Callable[..., Node],
) -> None:
    """A thousand beside the streams: for short requests, and for peers that say nothing."""
    node = start_node(MAX_CONNECTIONS=5, CONNECT_RATE_PER_S=0)
    async with EventSource(node.base, PATH, token=_reader()) as stream:
        await stream.next_of_type("stream.open")
        silent = [await RawPeer.connect(node.base) for _ in range(1004)]
        async with await RawPeer.ask(node.base, stream_request(PATH)) as late:
            await late.read_until(b"stream.open")
            assert await silent[0].read_to_end() == b""
            await Meter(node).wait_for("connections", 2)
        assert not stream.stopped.is_set()
        for peer in silent:
            peer.close()


async def test_who_looks_for_hundreds_of_jobs_that_are_not_there_is_refused_and_nobody_else(
    redis_url: str, prefix: str, start_node: Callable[..., Node]
) -> None:
    """Each of them costs a subscription, a read and a wait, also where the stream is cut off at once."""
    node = start_node(JOB_WAIT_S=0, MAX_CONNECTIONS_PER_USER=0)

    def path(begin: str) -> str:
        return "/v1/events?" + "&".join(f"channel=job:{begin}-{n}" for n in range(32))

    async def refused() -> bool:
        asked = [request(node.base, path(f"nowhere-{n}"), headers=_headers()) for n in range(20)]
        return 429 in [answer.status for answer in await asyncio.gather(*asked)]

    await until(refused, "the limit")
    with Publisher.from_url(redis_url, prefix=prefix) as publisher:
        for n in range(32):
            publisher.create_job(f"there-{n}", kind="k", owner="bob")
    for _ in range(12):  # more than that in all, but of jobs that are there
        async with EventSource(node.base, path("there"), token=token("bob")) as source:
            await source.next_of_type("job.state")
            assert source.status == 200

"""Who is connected, as a publisher sees it: written by real nodes' presence, read from Redis, and by the fake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.broker.store import Store
from gateway.presence.delivered import Delivered
from gateway.presence.presence import Presence
from gateway.presence.stream_counts import CountedStream
from publisher import AsyncPublisher, ClientConnections, ConnectionMetrics, Publisher
from publisher.core import presence
from publisher.keys import nodes_key
from publisher.redis import connect
from publisher.testing import RecordingPublisher


@asynccontextmanager
async def node(url: str, prefix: str, node_id: str) -> AsyncIterator[Presence]:
    """A node's part that counts its streams."""
    store = Store(connect.asyncio(url))
    there = Presence(
        store, prefix=prefix, node_id=node_id, version="1", max_per_user=0, draining=bool, delivered=Delivered.nothing
    )
    running = asyncio.create_task(there.run())
    try:
        yield there
    finally:
        running.cancel()
        await asyncio.wait([running])
        await there.close()
        await store.close()


def stream(client_id: str) -> CountedStream:
    return CountedStream(f"sub:{client_id}", (f"client:{client_id}", "broadcast"))


async def seen(pub: AsyncPublisher) -> tuple[list[ClientConnections], ConnectionMetrics]:
    return sorted([client async for client in pub.connected_clients()]), await pub.connection_metrics()


async def test_a_client_with_streams_on_two_nodes_counts_once(redis_url: str, prefix: str) -> None:
    async with (
        AsyncPublisher.from_url(redis_url, prefix=prefix) as pub,
        node(redis_url, prefix, "a") as a,
        node(redis_url, prefix, "b") as b,
    ):
        for there, client_id in ((a, "ann"), (a, "ann"), (b, "ann"), (b, "bob")):
            assert await there.arrive(stream(client_id))
        assert await b.arrive(CountedStream("guest:1", ("topic:prices",)))
        assert await seen(pub) == ([("ann", 3), ("bob", 1)], (4, 2, 2.0))
        assert await pub.has_connections("bob")
        assert not await pub.has_connections("eve")


async def test_a_dead_nodes_clients_are_gone_with_its_lease(redis_url: str, prefix: str) -> None:
    async with AsyncPublisher.from_url(redis_url, prefix=prefix) as pub, node(redis_url, prefix, "a") as a:
        assert await a.arrive(stream("ann"))
        store = Store(connect.asyncio(redis_url))
        await store.command("ZADD", nodes_key(prefix), 1, "a")
        assert await seen(pub) == ([], (0, 0, 0.0))
        await store.close()


async def test_many_clients_come_in_pages_and_each_once(redis_url: str, prefix: str) -> None:
    """Each node has more than twice as many fields as one page holds."""
    assert presence.PAGE <= 500
    async with (
        AsyncPublisher.from_url(redis_url, prefix=prefix) as pub,
        node(redis_url, prefix, "a") as a,
        node(redis_url, prefix, "b") as b,
    ):
        await asyncio.gather(*(a.arrive(stream(f"c{n:04}")) for n in range(1200)))
        await asyncio.gather(*(b.arrive(stream(f"c{n:04}")) for n in range(600, 1500)))
        clients, metrics = await seen(pub)
        assert clients == [(f"c{n:04}", 2 if 600 <= n < 1200 else 1) for n in range(1500)]
        assert metrics == ConnectionMetrics(2100, 1500, 1.4)


async def test_the_blocking_publisher_and_the_fake_agree(redis_url: str, prefix: str) -> None:
    fake = RecordingPublisher()
    fake.connect("ann", 2)
    fake.connect("bob")
    fake.connect("bob", 0)

    def ask(pub: Publisher) -> tuple[object, ...]:
        people = [pub.has_connections(name) for name in ("ann", "bob")]
        return list(pub.connected_clients()), pub.connection_metrics(), people

    async with node(redis_url, prefix, "a") as a:
        assert await a.arrive(stream("ann")) and await a.arrive(stream("ann"))
        with Publisher.from_url(redis_url, prefix=prefix) as pub:
            real = await asyncio.to_thread(ask, pub)
    assert real == ask(fake) == ([("ann", 2)], (2, 1, 2.0), [True, False])


def test_a_bad_client_id_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(ValueError, match="client id"):
        Publisher.from_url("redis://127.0.0.1:1/0").has_connections("a b")

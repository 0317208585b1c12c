"""Sending somebody away holds on every node: also on one that was cut off, and where Redis has lost everything."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator

import pytest
import redis

from publisher import AsyncPublisher
from tests.support.broker import Broker
from tests.support.eventsource import EventSource
from tests.support.http1 import request
from tests.support.node import Node
from tests.support.proxy import Proxy
from tests.support.tokens import token
from tests.support.waiting import until


def _admin() -> dict[str, str]:
    return {"Authorization": f"Bearer {token('root', scope='admin')}"}


OWN = "/v1/clients/ann/events"


async def send_away(node: Node, query: str) -> None:
    assert (await request(node.base, f"/v1/clients/ann{query}", method="DELETE", headers=_admin())).status == 200


@contextlib.asynccontextmanager
async def cut_off(broker: Broker, prefix: str) -> AsyncIterator[tuple[Node, Node, Proxy]]:
    """A node behind a proxy that lets nothing through any more, and one beside it."""
    with (
        Proxy(broker.port) as proxy,
        Node(proxy.redis_url, prefix) as far,
        Node(broker.url, prefix) as near,
    ):
        yield far, near, proxy


async def cut(proxy: Proxy, node: Node) -> None:
    proxy.refuse()
    proxy.cut()
    await until(lambda: node.readyz() == 503, "the node to notice")


@pytest.mark.parametrize("query", ["", "?revoke=true"])
@pytest.mark.parametrize("loss", [False, True])
async def test_a_stream_of_a_node_that_was_cut_off_ends_before_its_next_event(
    own_broker: Broker, prefix: str, query: str, loss: bool
) -> None:
    async with (
        cut_off(own_broker, prefix) as (far, near, proxy),
        EventSource(far.base, OWN, token=token("ann")) as stream,
        EventSource(far.base, "/v1/clients/bob/events", token=token("bob")) as other,
        AsyncPublisher.from_url(own_broker.url, prefix=prefix) as publisher,
    ):
        await stream.next_of_type("stream.open")
        await other.next_of_type("stream.open")
        await cut(proxy, far)
        await send_away(near, query)
        if loss:
            with redis.Redis.from_url(own_broker.url) as client:
                client.flushall()
        for client_id in ("ann", "bob"):
            await publisher.send(client_id, "late", 1)
        proxy.restore()
        closing = await stream.next_of_type("stream.close")
        assert closing.json()["reason"] == "disconnected"
        await stream.wait_stopped()
        assert not stream.of_type("late")
        if not loss:
            await other.next_of_type("late")
        assert not other.of_type("stream.close")


@pytest.mark.parametrize("query", ["", "?revoke=true"])
async def test_what_arrives_in_one_piece_with_the_order_is_not_delivered(
    own_broker: Broker, prefix: str, query: str
) -> None:
    """A node that is busy for a moment, here one that stands still, hears of both in the same turn."""
    with Node(own_broker.url, prefix) as busy, Node(own_broker.url, prefix) as other:
        async with (
            EventSource(busy.base, OWN, token=token("ann")) as stream,
            EventSource(busy.base, "/v1/clients/bob/events", token=token("bob")) as beside,
            AsyncPublisher.from_url(own_broker.url, prefix=prefix) as publisher,
        ):
            await stream.next_of_type("stream.open")
            await beside.next_of_type("stream.open")
            busy.freeze()
            try:
                await publisher.send("ann", "early", 1)
                await send_away(other, query)
                for client_id in ("ann", "bob"):
                    await publisher.send(client_id, "late", 1)
            finally:
                busy.thaw()
            await beside.next_of_type("late")
            assert (await stream.next_of_type("stream.close")).json()["reason"] == "disconnected"
            await stream.wait_stopped()
            assert stream.of_type("late") == []


async def test_who_comes_back_after_being_sent_away_stays(own_broker: Broker, prefix: str) -> None:
    """Also when the node reads again whom it should have sent away."""
    async with cut_off(own_broker, prefix) as (far, near, proxy):
        await cut(proxy, far)
        await send_away(near, "")
        proxy.restore()
        await until(lambda: far.readyz() == 200, "the node to be back")
        async with (
            EventSource(far.base, OWN, token=token("ann")) as stream,
            AsyncPublisher.from_url(own_broker.url, prefix=prefix) as publisher,
        ):
            await stream.next_of_type("stream.open")
            with redis.Redis.from_url(own_broker.url) as client:
                client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
                client.flushall()
            await until(lambda: far.readyz() == 200, "the node to be back")
            await publisher.send("ann", "later", 1)
            await stream.next_of_type("later")


async def test_a_node_that_starts_after_redis_was_emptied_refuses_what_another_knows_to_be_revoked(
    own_broker: Broker, prefix: str
) -> None:
    old = {"Authorization": f"Bearer {token('ann', iat=int(time.time()) - 5)}"}
    with Node(own_broker.url, prefix) as knows:
        await send_away(knows, "?revoke=true")
        with redis.Redis.from_url(own_broker.url) as client:
            client.flushall()
        with Node(own_broker.url, prefix) as fresh:
            assert (await request(fresh.base, "/v1/jobs", headers=old)).status == 401

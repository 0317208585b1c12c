"""The same promises on Redis Cluster: sharded announcements, and a job in another slot than its owner."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from gateway.broker.script import Script
from gateway.broker.store import ScriptCall, Store
from publisher import AsyncPublisher, Publisher
from publisher.keys import channel_keys
from publisher.redis import connect
from tests.cluster.checker import Truth, truth_from
from tests.cluster.test_every_dialect import SETTINGS, announced_job, everything_arrived, watching, worker
from tests.http.api import Api
from tests.support.broker import Broker
from tests.support.eventsource import EventSource
from tests.support.mercure import HubClient, classic, heard
from tests.support.node import Node
from tests.support.ports import HOST
from tests.support.publishers import Reader, done, within
from tests.support.redis_cluster import cluster_url, redis_cluster
from tests.support.waiting import until

READ = Script("read")


@pytest.fixture
def shards() -> Iterator[list[Broker]]:
    with redis_cluster(append_only=True) as nodes:
        yield nodes


def truth(shards: list[Broker], prefix: str) -> Truth:
    reader = Reader(f"redis://{HOST}", prefix)
    reader.client = redis.RedisCluster(host=HOST, port=shards[0].port, protocol=2)
    with contextlib.closing(reader):
        return truth_from(reader, "j1")


@pytest.mark.parametrize("fault", ["none", "a shard restarts"])
async def test_every_event_arrives_once_and_in_order_on_a_cluster(
    fault: str, shards: list[Broker], prefix: str
) -> None:
    url = cluster_url(shards)
    with Node(url, prefix, **SETTINGS) as first, Node(url, prefix, **SETTINGS) as second:
        await announced_job(url, prefix, "j1")
        async with (
            watching([first.base, second.base], "j1", 200, reconnect=True) as pairs,
            worker(url, prefix, 50, 4, "j1") as running,
        ):
            await running.has_come_to(50)
            if fault != "none":
                home = redis.RedisCluster(host=HOST, port=shards[0].port).get_node_from_key(
                    channel_keys(prefix, "job:j1").log
                )
                next(shard for shard in shards if home and shard.port == home.port).restart()
            assert await running.ended() == 0
            await everything_arrived(pairs, truth(shards, prefix), 200)


async def test_a_whole_cluster_that_is_away_takes_no_node_with_it(shards: list[Broker], prefix: str) -> None:
    """Neither one that runs nor one that starts: redis-py says so with an error that is none of its usual ones."""
    with Node(cluster_url(shards), prefix, MERCURE="true", ANONYMOUS="read") as node:
        for shard in shards:
            shard.kill()
        await until(lambda: node.readyz() == 503, "the node to say that Redis is away")
        node.kill()
        node.start(wait_ready=False)
        await until(lambda: node.readyz() == 503, "the new node to say so")
        api = Api(node.base)
        asked = [
            await api.call("GET", path, sub="ann", scope="admin")
            for path in ("/v1/jobs/x", "/v1/jobs", "/v1/stats", "/v1/clients", "/v1/events?channel=topic:x")
        ]
        asked.append(await api.call("POST", "/v1/tickets", {"channels": ["topic:x"]}, sub="ann"))
        assert {answer.status for answer in asked} == {503}, asked
        assert node.exit_code is None
        for shard in shards:
            shard.start()
        node.wait_ready()
        assert "Traceback" not in node.log


async def test_hundreds_of_reads_at_once_have_their_answers(shards: list[Broker]) -> None:
    """A crowd that reconnects asks like that. Each takes a connection, and redis-py allows 100 to a primary."""
    store = Store(connect.asyncio(cluster_url(shards)))
    calls: list[ScriptCall] = [([f"x:{{{n}}}:log", f"x:{{{n}}}:meta"], ["", 1000, "", 10]) for n in range(400)]
    try:
        together = await store.run_many(READ, calls)
        alone = await asyncio.gather(*[store.run(READ, call) for call in calls], return_exceptions=True)
    finally:
        await store.close()
    assert [reply for reply in (*together, *alone) if isinstance(reply, BaseException)] == []


async def test_the_mercure_hub_is_one_over_the_slots_of_a_cluster(shards: list[Broker], prefix: str) -> None:
    """Its own keys share a slot; what it brings to native topics lies in others."""
    url = cluster_url(shards)
    settings = {**SETTINGS, "MERCURE": "true", "MERCURE_ANONYMOUS": "true", "ANONYMOUS": "read"}
    with Node(url, prefix, **settings) as first, Node(url, prefix, **settings) as second:
        here, there = HubClient(first.base), HubClient(second.base)
        native = EventSource(second.base, "/v1/events?channel=topic:a&channel=topic:b")
        async with there.stream({"topic": "{x}"}) as stream, native:
            await stream.opened()
            await native.next_of_type("stream.open")
            ids = [await here.publish("a", str(number), ("topic", "b")) for number in range(3)]
            assert await heard(stream, "2") == ["0", "1", "2"]
            events = [await native.next_event() for _ in range(6)]
            assert sorted(event.data for event in events) == ["0", "0", "1", "1", "2", "2"]
            listed = (await here.listed(classic(subscribe=["*"])))["subscriptions"]
            assert [each["topic"] for each in listed] == ["{x}"]
        async with here.stream({"topic": "a"}, last_event_id=ids[0]) as stream:
            assert await heard(stream, "2") == ["1", "2"]


@pytest.mark.parametrize("face", [Publisher, AsyncPublisher])
async def test_what_comes_on_topics_comes_to_the_mercure_hub_of_a_cluster(
    face: Any, shards: list[Broker], prefix: str
) -> None:
    """Once, whatever way it is published and however often it is repeated."""
    url = cluster_url(shards)
    settings = {**SETTINGS, "MERCURE": "true", "MERCURE_ANONYMOUS": "true"}
    with Node(url, prefix, **settings) as node, Node(url, prefix, **settings) as other:
        hub = HubClient(node.base)
        async with (
            hub.stream([("topic", "prices"), ("topic", "t{n}")]) as stream,
            within(face.from_url(url, prefix=prefix)) as pub,
        ):
            await stream.opened()
            for number in range(3):
                await done(pub.publish("topic:prices", "tick", {"n": number}))
            for _ in range(3):
                await done(pub.publish("topic:prices", "tick", {"own": 1}, id="own-1"))
            await done(pub.publish_many([("topic:prices", "many", number) for number in range(3)]))
            await done(pub.publish_many([(f"topic:t{number}", "many", number) for number in range(20)]))
            for channel in ("topic:presence", "client:prices", "broadcast"):
                await done(pub.publish(channel, "tick", "not here"))
            await done(pub.publish("topic:prices", "end", "end"))
            events = await stream.collect_until(lambda event: event.type == "end")
        ticks = [json.loads(event.data) for event in events if event.type == "tick"]
        assert ticks == [{"n": 0}, {"n": 1}, {"n": 2}, {"own": 1}]
        assert [event.last_event_id for event in events if event.data == '{"own":1}'] == ["own-1"]
        many = [json.loads(event.data) for event in events if event.type == "many"]
        assert (many[:3], sorted(many[3:])) == ([0, 1, 2], list(range(20)))
        async with HubClient(other.base).stream({"topic": "prices"}, last_event_id="own-1") as stream:
            assert await heard(stream, '"end"') == ["0", "1", "2", '"end"']


@pytest.mark.parametrize("face", [Publisher, AsyncPublisher])
async def test_who_may_not_write_to_the_hub_of_a_cluster_leaves_it_at_the_topic(
    face: Any, shards: list[Broker], prefix: str
) -> None:
    own = f"{prefix}:{{topic:"
    for shard in shards:
        with redis.Redis(host=HOST, port=shard.port) as client:
            client.acl_setuser("w", True, passwords="+w", keys=[f"{own}*"], channels=[f"{own}*"], commands=["+@all"])
    url = cluster_url(shards).replace("redis+cluster://", "redis+cluster://w:w@")
    async with within(face.from_url(url, prefix=prefix)) as pub:
        receipts = [await done(pub.publish("topic:a", "t", number)) for number in range(2)]
        receipts += await done(pub.publish_many([(f"topic:{name}", "t", name) for name in "aab"]))
    assert [receipt.seq for receipt in receipts] == [1, 2, 3, 4, 1]

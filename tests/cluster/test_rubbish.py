"""Whatever stands in Redis, a node lives on: rubbish under every key that it reads, of every type."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
import redis

from gateway.broker.history import History
from gateway.broker.store import Store
from gateway.lease_watch import FIRST_LOOK_S, TICK_S, LeaseWatch
from gateway.metrics.counters import Metrics
from publisher import AsyncPublisher, Publisher
from publisher.envelope import Event
from publisher.keys import channel_keys
from publisher.redis import connect
from tests.support.eventsource import EventSource
from tests.support.http1 import request
from tests.support.node import Node
from tests.support.tokens import token
from tests.support.waiting import until


def _admin() -> dict[str, str]:
    return {"Authorization": f"Bearer {token('root', scope='admin')}"}


HUGE: Final = "9" * 5_000
ODD: Final = ("", "x", "-1", "1.5", "inf", "nan", "1e308", HUGE, b"\xff\xfe", "{}", "null", "9" * 15, "\r\n")
"""Values where numbers, names, JSON or events should be."""
LAST_ID: Final = "18446744073709551615-18446744073709551615"

Row = tuple[Any, ...]
"""One command that writes to a key; the key stands behind its name."""


def of_every_type() -> Iterator[list[Row]]:
    """A key of each type, with odd values."""
    yield [("SET", HUGE)]
    yield [("SET", "")]
    yield [("LPUSH", value) for value in ODD]
    yield [("SADD", value) for value in ODD]
    yield [("HSET", value, value) for value in ODD]
    for score in ("inf", "-inf", "-1", "1.5", "9" * 15):
        yield [("ZADD", score, member) for member in ODD]
    yield [("XADD", "*", value or "x", value) for value in ODD]
    yield [("XADD", entry, "m", "3 abcdefgh 1 aaaaaa - 1 t\n{}") for entry in ("5-1", "999999-0")]
    yield [("XADD", f"5-{number}", "m", "") for number in range(2, 66)]
    yield [("XADD", LAST_ID, "m", "")]


def node_fields() -> Iterator[list[Row]]:
    """A node's hash, as another node's might look."""
    names = ("streams", "client_streams", "clients", "channels", "started_at", "version", "draining", "delivered")
    more = ("generation", "ch:client:ann", "ch:client:", b"ch:client:\xff", "user:sub:ann", "guest:ann")
    for value in ODD:
        yield [("HSET", name, value) for name in (*names, *more)]


def user_shares() -> Iterator[list[Row]]:
    yield [
        ("HSET", "user:sub:ann", f"ghost 1 {value};ghost {value} 1;{value}") for value in ODD if isinstance(value, str)
    ]


def outbox_entries() -> Iterator[list[Row]]:
    yield [("XADD", "*", "t", value) for value in ODD]
    yield [("XADD", "*", "t", "joined", "n", value, "c", "ann") for value in ODD]
    yield [("XADD", "*", "t", "left", "c", value, "n", "0") for value in ODD]
    yield [("XADD", "*", "c", "ann", "n", "1")]


def topic_entries() -> Iterator[list[Row]]:
    yield [("XADD", "*", "m", "9 abcdefgh 1 aaaaaa - 1 presence.joined\n{}"), ("XADD", "*", "other", "1")]
    for own in (f"{HUGE[:15]}-0", "x", "5-x", "99999999999999999999-0"):
        yield [("XADD", "*", "m", f"1 abcdefgh 1 aaaaaa - 1795000000000 presence.joined {own}\n{{}}")]


Kinds = Callable[[], Iterator[list[Row]]]
PARTS: Final[dict[str, tuple[tuple[str, Kinds], ...]]] = {
    "what nodes share": (
        ("{gateway}:revoked", of_every_type),
        ("{gateway}:node:OWN", of_every_type),
        ("{gateway}:node:OWN", node_fields),
        ("{gateway}:node:ghost", of_every_type),
        ("{gateway}:node:ghost", node_fields),
        ("{gateway}:nodes", of_every_type),
        ("{gateway}:users", of_every_type),
        ("{gateway}:users", user_shares),
        ("{gateway}:ticket-key", of_every_type),
    ),
    "what is told": (
        ("{gateway}:outbox", outbox_entries),
        ("{gateway}:outbox", of_every_type),
        ("{gateway}:departed", of_every_type),
        ("{topic:presence}:log", topic_entries),
        ("{topic:presence}:log", of_every_type),
        ("{topic:presence}:meta", of_every_type),
    ),
    "channels and jobs": (
        ("{job:j1}:log", of_every_type),
        ("{job:j1}:meta", of_every_type),
        ("{job:j1}:state", of_every_type),
        ("{user:ann}:jobs", of_every_type),
        ("{user:ann}:active", of_every_type),
    ),
}


class World:
    """A node, and a hand that writes into its Redis."""

    def __init__(self, node: Node, url: str, prefix: str) -> None:
        self.node = node
        self.prefix = prefix
        self.redis = redis.Redis.from_url(url)
        self.url = url

    async def stats(self) -> Any:
        return await request(self.node.base, "/v1/stats", headers=_admin())

    def key(self, name: str) -> str:
        if "OWN" not in name:
            return f"{self.prefix}:{name}"
        own = re.findall(r"node\.started .*id=(\w+)", self.node.log)[0]
        return f"{self.prefix}:{name.replace('OWN', own)}"

    def write(self, key: str, rows: list[Row]) -> None:
        """Each row; a key of another type makes way, and what Redis itself refuses is no rubbish."""
        for verb, *rest in rows:
            try:
                self.redis.execute_command(verb, key, *rest)
            except redis.ResponseError as error:
                if "WRONGTYPE" in str(error):
                    self.redis.delete(key)
                    self.redis.execute_command(verb, key, *rest)

    async def count(self) -> int:
        """What the node says it has passed over."""
        scrape = (await request(self.node.base, "/metrics")).body.decode()
        return sum(int(float(n)) for n in re.findall(r"^sse_gateway_unreadable_total\{.*\} (\S+)$", scrape, re.M))

    async def reads_everything(self) -> None:
        """Have the node read what it reads at all; each answer is one that a well node gives."""
        self.redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")  # revocations are read again
        good = (200, 404, 503)
        headers = {"Authorization": f"Bearer {token('ann')}"}
        for path in ("/v1/jobs", "/v1/jobs/j1", "/v1/jobs/events", "/v1/jobs/j1/events"):
            method = "HEAD" if "events" in path else "GET"
            assert (await request(self.node.base, path, method=method, headers=headers)).status in good
        for path in ("/v1/stats", "/v1/clients", "/api/sse/metrics"):
            assert (await request(self.node.base, path, headers=_admin())).status == 200, path


@pytest.fixture
def world(start_node: Callable[..., Node], redis_url: str, prefix: str) -> World:
    node = start_node(PRESENCE_EVENTS="true", JOB_WAIT_S=0, MAX_CONNECTIONS_PER_USER=50)
    return World(node, redis_url, prefix)


@pytest.mark.parametrize("part", PARTS)
async def test_a_node_lives_on_and_delivers_whatever_stands_under_a_key(
    world: World, start_node: Callable[..., Node], part: str
) -> None:
    nodes_key = world.key("{gateway}:nodes")
    async with (
        EventSource(world.node.base, "/v1/clients/bob/events", token=token("bob"), reconnect=True) as watcher,
        AsyncPublisher.from_url(world.url, prefix=world.prefix) as publisher,
    ):
        await watcher.next_of_type("stream.open")
        for number, (name, rows) in enumerate((name, rows) for name, kinds in PARTS[part] for rows in kinds()):
            if world.redis.type(nodes_key) == b"zset":
                world.redis.zadd(nodes_key, {"ghost": 9e14})
            world.write(world.key(name), rows)
            await world.reads_everything()
            await publisher.send("bob", "tick", number)
            while (await watcher.next_of_type("tick")).data != str(number):
                pass
        await until(lambda: world.node.readyz() == 200, "the node to be ready")
        assert world.node.exit_code is None
        async with EventSource(world.node.base, "/v1/clients/ann/events", token=token("ann")) as stream:
            await stream.next_of_type("stream.open")
    start_node(PRESENCE_EVENTS="true")  # another one starts beside the rubbish
    kinds_said = re.findall(r"redis\.unreadable kind=(\w+)", world.node.log)
    assert kinds_said and len(kinds_said) == len(set(kinds_said))
    assert "node.task_died" not in world.node.log and "Traceback" not in world.node.log


async def test_what_stopped_nodes_is_counted_and_removed(world: World) -> None:
    key = world.key("{gateway}:revoked")
    world.redis.execute_command("ZADD", key, "inf", "x", "1e300", b"\xff", "-5", "y")
    world.redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    await until(lambda: not world.redis.exists(key), "the rows to be removed")
    scrape = (await request(world.node.base, "/metrics")).body.decode()
    assert 'sse_gateway_unreadable_total{kind="revocation"} 3.0' in scrape
    assert world.node.readyz() == 200


@pytest.mark.parametrize("message", [b"", b"{", b"\xff", b'{"disconnect":"ann","revoked":9e300}', b'{"disconnect":1}'])
async def test_nonsense_among_the_nodes_is_counted(world: World, message: bytes) -> None:
    world.redis.publish(f"{world.prefix}:{{gateway}}", message)

    async def is_counted() -> bool:
        return await world.count() == 1

    await until(is_counted, "the message to be counted")


async def test_a_history_of_empty_entries_under_one_number_is_read_to_its_end(redis_url: str, prefix: str) -> None:
    keys = channel_keys(prefix, "topic:a")
    with redis.Redis.from_url(redis_url) as client:
        client.hset(keys.meta, mapping={"epoch": "abcdefgh", "seq": "70", "mark": "aaaaaa"})
        for number in range(1, 200):
            client.xadd(keys.log, {"m": ""}, id=f"5-{number}")
    store, metrics = Store(connect.asyncio(redis_url)), Metrics("1")
    try:
        snapshot = await History(store, metrics, prefix).read("topic:a", 4)
    finally:
        await store.close()
    assert (snapshot.top.seq, snapshot.events) == (70, [])
    assert metrics.unreadable.counts["message"] == 199


@pytest.mark.parametrize("data", [{"job_id": "events"}, {"job_id": "j", "owner": "a{b"}, {"job_id": "j", "owner": ""}])
async def test_a_job_of_no_possible_name_or_owner_stops_no_look_at_leases(
    redis_url: str, prefix: str, data: dict[str, str]
) -> None:
    store = Store(connect.asyncio(redis_url))
    try:
        async with AsyncPublisher.from_url(redis_url, prefix=prefix) as publisher:
            leases = LeaseWatch(publisher, History(store, Metrics("1"), prefix), viewed=lambda channel: False)
            leases.started(Event("job:j", "abcdefgh", 1, "aaaaaa", "-", 1, "job.started", json.dumps(data).encode()))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(FIRST_LOOK_S + 3 * TICK_S):
                    await leases.run()
    finally:
        await store.close()


async def test_a_job_of_the_name_of_a_path_hides_no_other_job_of_the_list(world: World) -> None:
    with Publisher.from_url(world.url, prefix=world.prefix) as publisher:
        publisher.create_job("good", kind="k", owner="ann")
    for index in ("jobs", "active"):
        world.redis.zadd(world.key("{user:ann}:" + index), {"events": 1})
    headers = {"Authorization": f"Bearer {token('ann')}"}
    listed = json.loads((await request(world.node.base, "/v1/jobs", headers=headers)).body)["jobs"]
    assert [job["job_id"] for job in listed] == ["good"]
    async with EventSource(world.node.base, "/v1/jobs/events", token=token("ann")) as stream:
        assert "good" in (await stream.next_of_type("job.state")).data
    assert "Traceback" not in world.node.log


def test_a_publisher_that_asks_who_is_there_passes_over_what_is_no_node(world: World) -> None:
    nodes_key = world.key("{gateway}:nodes")
    for ghost in ("ghost", b"\xff\xfe"):
        world.redis.execute_command("ZADD", nodes_key, "9" * 15, ghost)
    with Publisher.from_url(world.url, prefix=world.prefix) as publisher:
        for rows in (of_every_type, node_fields):
            for row in rows():
                world.redis.execute_command("ZADD", nodes_key, "9" * 15, "ghost")
                world.write(world.key("{gateway}:node:ghost"), row)
                assert publisher.has_connections("bob") is False
                assert publisher.connection_metrics().connections >= 0
                assert "bob" not in [client.client_id for client in publisher.connected_clients()]

"""Databases of one server are apart, though its pub/sub is one for all of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from publisher import AsyncPublisher, Publisher
from publisher.keys import CONTROL, pubsub_name
from publisher.redis import connect
from tests.support.eventsource import EventSource
from tests.support.http1 import request
from tests.support.node import Node
from tests.support.ports import HOST
from tests.support.tokens import token


def at(url: str, db: int) -> str:
    return f"{url.rpartition('/')[0]}/{db}"


Publish = Callable[[str, int, str], None]


def by_url(url: str, db: int, prefix: str) -> None:
    with Publisher.from_url(at(url, db), prefix=prefix) as pub:
        pub.publish("topic:a", "tick", 1)


def by_query(url: str, db: int, prefix: str) -> None:
    with Publisher.from_url(f"{url.rpartition('/')[0]}?db={db}", prefix=prefix) as pub:
        pub.publish("topic:a", "tick", 1)


def by_client(url: str, db: int, prefix: str) -> None:
    with (
        redis.Redis.from_url(at(url, db), retry=Retry(NoBackoff(), 0)) as client,
        Publisher(client, prefix=prefix) as pub,
    ):
        pub.publish("topic:a", "tick", 1)


def by_async_url(url: str, db: int, prefix: str) -> None:
    async def publish() -> None:
        async with AsyncPublisher.from_url(at(url, db), prefix=prefix) as pub:
            await pub.publish_many([("topic:a", "tick", 1)])

    asyncio.run(publish())


def by_async_client(url: str, db: int, prefix: str) -> None:
    async def publish() -> None:
        client = redis.asyncio.Redis.from_url(at(url, db), retry=AsyncRetry(NoBackoff(), 0))
        async with client, AsyncPublisher(client, prefix=prefix) as pub:
            await pub.publish("topic:a", "tick", 1)

    asyncio.run(publish())


@pytest.mark.parametrize("publish", [by_url, by_query, by_client, by_async_url, by_async_client])
def test_an_announcement_is_heard_in_its_own_database_only(redis_url: str, prefix: str, publish: Publish) -> None:
    with redis.Redis.from_url(redis_url) as client, client.pubsub(ignore_subscribe_messages=True) as listening:
        listening.subscribe(*[pubsub_name(prefix, "topic:a", db) for db in (0, 1, 2)])
        for db in (0, 1):
            publish(redis_url, db, prefix)
        heard: list[Any] = []
        while len(heard) < 2:
            message = listening.get_message(timeout=10)
            assert message is not None or not heard
            heard += [message["channel"].decode()] if message else []
    assert heard == [f"{prefix}:{{topic:a}}", f"{prefix}@1:{{topic:a}}"]


def test_the_database_of_a_sentinels_address_counts_too() -> None:
    client = connect.asyncio(f"redis+sentinel://{HOST}:1/main/4")
    assert connect.database(client) == 4
    assert connect.database(connect.blocking("unix:///tmp/none.sock?db=3")) == 3


async def test_nodes_of_two_databases_neither_hear_nor_send_each_other_away(redis_url: str, prefix: str) -> None:
    """Production in 0 and staging in 1, with one prefix: jobs of the same id, and an order to send somebody away."""
    with Node(redis_url, prefix) as production, Node(at(redis_url, 1), prefix) as staging:
        ann = token("ann")
        async with (
            EventSource(production.base, "/v1/jobs/j/events", token=ann) as here,
            EventSource(staging.base, "/v1/jobs/j/events", token=ann) as there,
        ):
            with (
                Publisher.from_url(redis_url, prefix=prefix) as first,
                Publisher.from_url(at(redis_url, 1), prefix=prefix) as second,
            ):
                first.create_job("j", kind="production", owner="ann")
                second.create_job("j", kind="staging", owner="ann")
                await asyncio.gather(here.next_of_type("job.state"), there.next_of_type("job.state"))
                headers = {"Authorization": f"Bearer {token('root', scope='admin')}"}
                sent = await request(staging.base, "/v1/clients/ann?revoke=true", method="DELETE", headers=headers)
                assert json.loads(sent.body)["disconnected"] == 1
                await there.wait_stopped()
                first.update_job("j", progress=40)
                second.update_job("j", progress=60)
                told = await here.next_of_type("job.progress")
        assert told.json()["progress"] == 40
        assert [event.type for event in here.events if event.type.startswith("stream.")] == ["stream.open"]
        assert (await request(production.base, "/v1/jobs", headers={"Authorization": f"Bearer {ann}"})).status == 200
        with redis.Redis.from_url(redis_url) as client:
            listened = {name.decode() for name in client.pubsub_channels(f"{prefix}*")}
    assert {pubsub_name(prefix, CONTROL), pubsub_name(prefix, CONTROL, 1)} <= listened
    assert all(name.startswith((f"{prefix}:{{", f"{prefix}@1:{{")) for name in listened)

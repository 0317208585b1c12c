"""One node's word ends a subject's streams on all of them, and a revocation outlives messages and Redis."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest
import redis

from gateway.auth.revocations import MAX_SUBJECTS
from gateway.broker.gate import Gate
from gateway.broker.store import Store
from gateway.broker.subscriber import Subscriber
from gateway.disconnects import REFRESH_S, Disconnects
from gateway.exceptions import StoreDown
from gateway.metrics.counters import Metrics
from publisher.keys import CONTROL, pubsub_name, revoked_key, sent_away_key
from publisher.redis import connect
from tests.support.broker import Broker
from tests.support.redis_cluster import cluster_url, redis_cluster
from tests.support.waiting import until

LONG_AGO = 1000.0


class OrderListener:
    """The part of a node that hears orders; ``ended`` are the subjects whose streams it was told to end."""

    def __init__(self, url: str, prefix: str, node_id: str, refresh_s: float, max_subjects: int) -> None:
        self.channel = pubsub_name(prefix, CONTROL)
        self.key = revoked_key(prefix)
        self.store = Store(connect.asyncio(url))
        self.ended: list[str] = []
        self.gate = Gate()
        self.subscriber = Subscriber(
            self.store,
            Metrics("test"),
            prefix=prefix,
            node_id=node_id,
            on_messages=lambda messages: self.control.pick(messages),
            on_up=self.gate.doubt,
            on_down=lambda reason: None,
        )
        self.control = Disconnects(
            self.store,
            self.subscriber,
            prefix=prefix,
            disconnect=lambda subject, open_for_s=0.0: self.ended.append(subject),
            gate=self.gate,
            refresh_s=refresh_s,
            max_subjects=max_subjects,
        )
        self._tasks = [asyncio.create_task(self.subscriber.run()), asyncio.create_task(self.control.run())]

    async def hears(self) -> None:
        """Return when Redis has confirmed that it listens."""
        await until(lambda: self.subscriber.up, "the subscriber")
        await self.subscriber.want(CONTROL)

    async def knows(self, subject: str) -> None:
        await until(lambda: self.control.revoked(subject, LONG_AGO), f"the revocation of {subject}")

    async def was_told(self, *subjects: str) -> None:
        await until(lambda: self.ended == list(subjects), f"the order to end {subjects}")

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.store.close()


@contextlib.asynccontextmanager
async def listeners(
    url: str, prefix: str, *ids: str, refresh_s: float = REFRESH_S, max_subjects: int = MAX_SUBJECTS
) -> AsyncIterator[list[OrderListener]]:
    running = [OrderListener(url, prefix, node_id, refresh_s, max_subjects) for node_id in ids]
    try:
        for each in running:
            await each.hears()
        yield running
    finally:
        for each in running:
            await each.close()


async def test_every_node_ends_the_streams_of_a_subject(redis_url: str, prefix: str) -> None:
    async with listeners(redis_url, prefix, "a", "b") as (a, b):
        await a.control.disconnect_everywhere("ann", revoke=False)
        for node in (a, b):
            await node.was_told("ann")
            assert not node.control.revoked("ann", LONG_AGO)


async def test_tokens_issued_until_the_revocation_are_refused_on_every_node(redis_url: str, prefix: str) -> None:
    async with listeners(redis_url, prefix, "a", "b") as (a, b):
        await a.control.disconnect_everywhere("ann", revoke=True)
        at = int(await a.store.command("ZSCORE", a.key, "ann"))
        for node in (a, b):
            await node.knows("ann")
            assert node.control.revoked("ann", at)
            assert node.control.revoked("ann", at + 0.9)
            assert node.control.revoked("ann", None)
            assert not node.control.revoked("ann", at + 1)
            assert not node.control.revoked("bob", LONG_AGO)
            assert "ann" in node.ended


async def test_the_node_that_was_asked_refuses_at_once(redis_url: str, prefix: str) -> None:
    """Also before its own message has come back."""
    async with listeners(redis_url, prefix, "a") as (a,):
        await a.control.disconnect_everywhere("ann", revoke=True)
        assert a.control.revoked("ann", LONG_AGO)


async def test_a_node_that_starts_later_knows_the_revocations(redis_url: str, prefix: str) -> None:
    async with listeners(redis_url, prefix, "a") as (a,):
        for number in range(1200):  # more than one page
            await a.store.command("ZADD", a.key, 5000 + number, f"u{number}")
        async with listeners(redis_url, prefix, "b") as (b,):
            for number in (0, 600, 1199):
                await b.knows(f"u{number}")


async def test_a_lost_message_is_made_up_for(redis_url: str, prefix: str) -> None:
    """What is written without being announced is found at the next look, and ends the streams too."""
    async with listeners(redis_url, prefix, "a", refresh_s=0.1) as (a,):
        await a.store.command("ZADD", a.key, int(time.time()), "ann")
        await a.knows("ann")
        await a.was_told("ann")


async def test_what_happened_during_a_disconnection_is_read_after_it(redis_url: str, prefix: str) -> None:
    async with listeners(redis_url, prefix, "a") as (a,):
        await a.store.command("ZADD", a.key, int(time.time()), "ann")
        await a.store.command("CLIENT", "KILL", "TYPE", "pubsub")
        await a.knows("ann")


async def test_a_node_keeps_what_it_knows_while_redis_is_away_and_puts_it_back(prefix: str) -> None:
    with Broker() as broker:  # keeps nothing over a restart
        async with listeners(broker.url, prefix, "a") as (a,):
            await a.control.disconnect_everywhere("ann", revoke=True)
            broker.kill()
            with pytest.raises(StoreDown):
                await a.control.disconnect_everywhere("bob", revoke=True)
            assert a.control.revoked("ann", LONG_AGO)
            assert not a.control.revoked("bob", LONG_AGO)
            broker.start()
            async with listeners(broker.url, prefix, "b") as (b,):
                await until(lambda: a.store.command("ZSCORE", a.key, "ann"), "the revocation in Redis")
                b.gate.doubt()
                await b.knows("ann")


async def test_a_newer_revocation_counts_and_an_older_one_changes_nothing(redis_url: str, prefix: str) -> None:
    async with listeners(redis_url, prefix, "a") as (a,):
        later = int(time.time()) + 3600
        await a.store.command("ZADD", a.key, later, "ann")
        await a.control.disconnect_everywhere("ann", revoke=True)
        assert int(await a.store.command("ZSCORE", a.key, "ann")) == later
        a.gate.doubt()
        await until(lambda: a.control.revoked("ann", later), "the newer revocation")


async def test_redis_keeps_a_bounded_number_of_revocations(redis_url: str, prefix: str) -> None:
    """The oldest go first."""
    async with listeners(redis_url, prefix, "a", max_subjects=3) as (a,):
        await a.store.command("ZADD", a.key, 1, "u1", 2, "u2", 3, "u3")
        await a.control.disconnect_everywhere("ann", revoke=True)
        assert await a.store.command("ZRANGE", a.key, 0, -1) == [b"u2", b"u3", b"ann"]


@pytest.mark.parametrize(
    "message", [b"", b"{", b"[]", b"7", b"{}", b'{"disconnect":7,"revoked":0}', b'{"disconnect":"x"}', b"\xff"]
)
async def test_nonsense_on_the_channel_is_ignored(redis_url: str, prefix: str, message: bytes) -> None:
    async with listeners(redis_url, prefix, "a") as (a,):
        await a.store.command("PUBLISH", a.channel, message)
        await a.control.disconnect_everywhere("ann", revoke=False)
        await a.was_told("ann")


async def test_a_subject_may_have_any_characters(redis_url: str, prefix: str) -> None:
    subject = 'ü"\\/日本'
    async with listeners(redis_url, prefix, "a", "b") as (a, b):
        await a.control.disconnect_everywhere(subject, revoke=True)
        await b.knows(subject)
        await b.was_told(subject)


async def test_a_node_that_starts_after_redis_lost_everything_asks_the_others(own_broker: Broker, prefix: str) -> None:
    """It knows nothing before they have put back what they know."""
    async with listeners(own_broker.url, prefix, "a") as (a,):
        await a.control.disconnect_everywhere("ann", revoke=True)
        await until(lambda: a.control.loaded, "the node to be at work")
        await a.store.command("FLUSHALL")
        async with listeners(own_broker.url, prefix, "b") as (b,):
            await until(lambda: b.control.loaded, "the revocations")
            assert b.control.revoked("ann", LONG_AGO)


async def test_on_a_cluster_too_a_node_that_starts_after_a_loss_asks_the_others(prefix: str) -> None:
    with redis_cluster() as brokers:
        async with listeners(cluster_url(brokers), prefix, "a") as (a,):
            await a.control.disconnect_everywhere("ann", revoke=True)
            await until(lambda: a.control.loaded, "the node to be at work")
            for broker in brokers:
                with redis.Redis.from_url(broker.url) as client:
                    client.flushall()
            async with listeners(cluster_url(brokers), prefix, "b") as (b,):
                await until(lambda: b.control.loaded, "the revocations")
                assert b.control.revoked("ann", LONG_AGO)


async def test_whom_nobody_answers_about_is_not_waited_for_for_ever(redis_url: str, prefix: str) -> None:
    """A listener that is no node, such as an older one, does not answer."""
    async with Store(connect.asyncio(redis_url)).client.pubsub() as deaf:
        await deaf.subscribe(pubsub_name(prefix, CONTROL))
        async with listeners(redis_url, prefix, "a") as (a,):
            await until(lambda: a.control.loaded, "the node to go on alone")


async def test_who_was_sent_away_is_forgotten_after_a_day(redis_url: str, prefix: str) -> None:
    async with listeners(redis_url, prefix, "a") as (a,):
        key = sent_away_key(prefix)
        now_ms = int(time.time() * 1000)
        await a.store.command("ZADD", key, now_ms - 86_500_000, "bob", now_ms - 80_000_000, "eve")
        await a.control.disconnect_everywhere("ann", revoke=False)
        assert await a.store.command("ZRANGE", key, 0, -1) == [b"eve", b"ann"]


async def test_orders_reach_every_node_of_a_cluster(prefix: str) -> None:
    with redis_cluster() as brokers:
        async with listeners(cluster_url(brokers), prefix, "a", "b") as (a, b):
            await a.control.disconnect_everywhere("ann", revoke=True)
            for node in (a, b):
                await node.knows("ann")
                await until(lambda node=node: "ann" in node.ended, "the order")  # type: ignore[misc]

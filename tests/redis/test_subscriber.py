"""The node's pub/sub against a real server: what is wanted is subscribed, and a deaf connection is noticed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from redis.asyncio import Redis
from redis.crc import key_slot

from gateway.broker.pubsub_connection import USUAL_PATIENCE, Patience
from gateway.broker.store import Store
from gateway.broker.subscriber import Subscriber
from gateway.metrics.counters import Metrics
from publisher.keys import pubsub_name
from publisher.redis import connect
from tests.support.broker import Broker
from tests.support.redis_cluster import SLOTS, cluster_url, redis_cluster


class ListeningSubscriber:
    """A subscriber with what it heard; ``until`` waits for a condition."""

    def __init__(self, url: str, prefix: str, patience: Patience) -> None:
        self.prefix = prefix
        self.store = Store(connect.asyncio(url))
        self.heard: list[tuple[str, bytes]] = []
        self.ups = 0
        self.listened_at_up: list[bool] = []
        """For each time that it was up, whether Redis had confirmed the topic ``a``."""
        self.downs: list[str] = []
        self._changed = asyncio.Event()
        self.subscriber = Subscriber(
            self.store,
            Metrics("test"),
            prefix=prefix,
            node_id="n1",
            on_messages=self._hear,
            on_up=self._up,
            on_down=self._down,
            patience=patience,
        )

    def _hear(self, messages: list[tuple[str, bytes]]) -> None:
        self.heard += [message for message in messages if not message[0].startswith("probe:")]
        self._changed.set()

    def _up(self) -> None:
        self.ups += 1
        self.listened_at_up.append(self.subscriber.has("topic:a"))
        self._changed.set()

    def _down(self, reason: str) -> None:
        self.downs.append(reason)
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(40):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def publish(self, channel: str, message: str) -> None:
        await self.store.command("PUBLISH", pubsub_name(self.prefix, channel), message)


@contextlib.asynccontextmanager
async def listening(url: str, prefix: str, patience: Patience = USUAL_PATIENCE) -> AsyncIterator[ListeningSubscriber]:
    listener = ListeningSubscriber(url, prefix, patience)
    task = asyncio.create_task(listener.subscriber.run())
    try:
        await listener.until(lambda: listener.ups == 1)
        yield listener
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await listener.store.close()


async def test_what_is_wanted_is_heard(redis_url: str, prefix: str) -> None:
    """``want`` returns when Redis has confirmed, so nothing published afterwards is missed."""
    async with listening(redis_url, prefix) as listener:
        await listener.subscriber.want("topic:a")
        await listener.publish("topic:a", "one")
        await listener.until(lambda: bool(listener.heard))
        assert listener.heard == [("topic:a", b"one")]


async def test_a_thousand_channels_are_subscribed_in_few_commands(redis_url: str, prefix: str) -> None:
    async with listening(redis_url, prefix) as listener:
        before = (await listener.store.client.info("commandstats"))["cmdstat_subscribe"]["calls"]
        await asyncio.gather(*[listener.subscriber.want(f"topic:{n}") for n in range(1000)])
        after = (await listener.store.client.info("commandstats"))["cmdstat_subscribe"]["calls"]
        assert after - before <= 2


async def test_what_nobody_wants_is_unsubscribed(redis_url: str, prefix: str) -> None:
    async with listening(redis_url, prefix) as listener:
        await listener.subscriber.want("topic:a")
        listener.subscriber.unwant(["topic:a"])
        await listener.subscriber.want("topic:b")  # travels behind it
        counted = await listener.store.command("PUBSUB", "NUMSUB", pubsub_name(prefix, "topic:a"))
        assert counted[1] == 0


async def test_a_killed_connection_comes_back_subscribed(redis_url: str, prefix: str) -> None:
    async with listening(redis_url, prefix) as listener:
        await listener.subscriber.want("topic:a")
        await listener.store.command("CLIENT", "KILL", "TYPE", "pubsub")
        await listener.until(lambda: listener.ups == 2)
        await listener.publish("topic:a", "after")
        await listener.until(lambda: bool(listener.heard))
        assert listener.downs == ["closed"]


async def test_a_frozen_server_is_noticed_and_joined_again(own_broker: Broker, prefix: str) -> None:
    """Connected and silent is not enough: the probe does not come back."""
    async with listening(own_broker.url, prefix, Patience(silent_s=0.3, probe_timeout_s=0.5)) as listener:
        await listener.subscriber.want("topic:a")
        own_broker.freeze()
        try:
            await listener.until(lambda: listener.downs == ["deaf"])
        finally:
            own_broker.thaw()
        await listener.until(lambda: listener.ups == 2)
        await listener.publish("topic:a", "after")
        await listener.until(lambda: bool(listener.heard))


async def test_a_subscription_left_on_a_demoted_master_is_noticed(own_broker: Broker, prefix: str) -> None:
    """A replica still publishes what is published on it, so the probe has to be a write."""
    async with listening(own_broker.url, prefix, Patience(silent_s=0.3)) as listener:
        with Broker() as master:
            await listener.store.command("REPLICAOF", "127.0.0.1", str(master.port))
            await listener.until(lambda: listener.downs == ["deaf"])
            await listener.store.command("REPLICAOF", "NO", "ONE")
            await listener.until(lambda: listener.ups >= 2)


async def test_a_channel_whose_slot_moves_is_listened_to_before_the_node_looks_for_what_it_missed(prefix: str) -> None:
    """At once, and not when the layout is looked at again. What is announced while nobody listens at its new home would
    else wait for the next event."""
    with redis_cluster() as brokers:
        async with listening(cluster_url(brokers), prefix, Patience(reshard_s=600)) as listener:
            await listener.subscriber.want("topic:a")
            slot = key_slot(pubsub_name(prefix, "topic:a").encode())
            servers = [Redis(port=broker.port, protocol=2) for broker in brokers]
            ids = [await server.execute_command("CLUSTER MYID") for server in servers]
            home = slot // (SLOTS // 2)
            await servers[1 - home].execute_command("CLUSTER SETSLOT", slot, "IMPORTING", ids[home])
            await servers[home].execute_command("CLUSTER SETSLOT", slot, "MIGRATING", ids[1 - home])
            for server in reversed(servers) if home == 0 else servers:
                await server.execute_command("CLUSTER SETSLOT", slot, "NODE", ids[1 - home])
            await listener.until(lambda: listener.downs == ["moved"])
            await listener.until(lambda: listener.ups > 1 and listener.listened_at_up[-1])
            await servers[1 - home].execute_command("SPUBLISH", pubsub_name(prefix, "topic:a"), "after")
            await listener.until(lambda: listener.heard == [("topic:a", b"after")])
            for server in servers:
                await server.aclose()

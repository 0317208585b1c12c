"""Nodes tell who came and who went: each once, in order, whatever happens to nodes and to Redis."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from random import Random
from typing import Any

import orjson
import pytest
import redis.asyncio

from gateway.broker.store import Store
from gateway.doctor.grants import Role, rule
from gateway.metrics.counters import Metrics
from gateway.presence.delivered import Delivered
from gateway.presence.presence import USUAL_PACE, Pace, Presence
from gateway.presence.stream_counts import CountedStream
from publisher import keys
from publisher.channels import PRESENCE
from publisher.envelope import Event, decode
from publisher.redis import connect
from tests.support.broker import Broker
from tests.support.redis_cluster import cluster_url, redis_cluster
from tests.support.waiting import until

ANN = CountedStream("sub:ann", ("client:ann", "broadcast"))
BOB = CountedStream("sub:bob", ("client:bob", "broadcast"))
JOB = CountedStream("sub:ann", ("job:j1",))
SHORT = Pace(lease_s=1.0, renew_s=0.2)


class Teller:
    """One node's presence with its news, at work until it is left or killed."""

    def __init__(self, url: str, prefix: str, node_id: str, pace: Pace) -> None:
        self.prefix = prefix
        self.store = Store(connect.asyncio(url))
        self.presence = Presence(
            self.store,
            prefix=prefix,
            node_id=node_id,
            version="1",
            max_per_user=0,
            draining=lambda: False,
            delivered=lambda: Delivered.now(Metrics("1")),
            events=True,
            pace=pace,
        )
        assert self.presence.news
        self.news = self.presence.news
        self._tasks: list[asyncio.Task[None]] = []
        self._killed = False
        self.thaw()

    def thaw(self) -> None:
        self._tasks = [asyncio.create_task(part) for part in (self.presence.run(), self.news.run())]

    async def events(self) -> list[Event]:
        """The history of the topic."""
        rows = await self.store.command("XRANGE", keys.channel_keys(self.prefix, PRESENCE).log, "-", "+")
        return [decode(PRESENCE, fields[b"m"]) for _, fields in rows]

    async def types(self) -> list[str]:
        return [event.type for event in await self.events()]

    async def told(self) -> list[str]:
        """What the topic says so far: ``+ann`` and ``-ann``; numbers follow each other."""
        events = await self.events()
        assert (
            [event.seq for event in events] == list(range(events[0].seq, events[0].seq + len(events)))
            if events
            else True
        )
        found = []
        for event in events:
            data = orjson.loads(event.data)
            assert (event.type == "presence.joined") == (data["connections"] > 0)
            found.append(("+" if event.type == "presence.joined" else "-") + data["client_id"])
        return found

    async def tells(self, *expected: str) -> None:
        """Wait until this has been told, in this order, and nothing is left to tell."""

        async def is_told() -> bool:
            left = (
                await self.store.command("XLEN", self.news.keys[0]),
                await self.store.command("ZCARD", self.news.keys[1]),
            )
            return await self.told() == list(expected) and left == (0, 0)

        try:
            await until(is_told, "the news")
        except TimeoutError:
            raise AssertionError(f"{await self.told()} instead of {expected}") from None

    async def flushed(self) -> None:
        """Wait until Redis has heard of all changes before this."""
        assert await self.presence.arrive(JOB)
        self.presence.leave(JOB)

    async def hush(self) -> None:
        """Count on, but tell nothing."""
        self._tasks[1].cancel()
        await asyncio.gather(self._tasks[1], return_exceptions=True)

    def speak(self) -> None:
        """Tell what has been counted meanwhile."""
        self._tasks[1] = asyncio.create_task(self.news.run())
        self.news.look()

    async def freeze(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def kill(self) -> None:
        """End its work, as a crash would: nothing is tidied up, and nothing goes on."""
        await self.freeze()
        self._killed = True

    async def close(self) -> None:
        await self.freeze()
        if not self._killed:
            await self.presence.close()
        await self.store.close()


@contextlib.asynccontextmanager
async def tellers(url: str, prefix: str, *ids: str, pace: Pace = USUAL_PACE) -> AsyncIterator[list[Teller]]:
    running = [Teller(url, prefix, node_id, pace) for node_id in ids]
    try:
        yield running
    finally:
        for node in running:
            await node.close()


async def test_the_first_stream_of_all_nodes_joins_and_the_last_one_leaves(redis_url: str, prefix: str) -> None:
    async with tellers(redis_url, prefix, "a", "b") as (a, b):
        await a.presence.arrive(ANN)
        await b.presence.arrive(ANN)
        await b.presence.arrive(BOB)
        await a.presence.arrive(JOB)  # not for a client
        await a.tells("+ann", "+bob")
        a.presence.leave(ANN)
        await a.flushed()
        b.presence.leave(ANN)
        b.presence.leave(BOB)
        await b.tells("+ann", "+bob", "-ann", "-bob")


async def test_who_changes_its_stream_within_one_call_was_not_away(redis_url: str, prefix: str) -> None:
    async with tellers(redis_url, prefix, "a") as (a,):
        await a.presence.arrive(ANN)
        for _ in range(20):
            a.presence.leave(ANN)
            assert await a.presence.arrive(ANN)
        await a.presence.arrive(BOB)
        await a.tells("+ann", "+bob")


async def test_a_burst_is_told_completely_in_few_round_trips(redis_url: str, prefix: str) -> None:
    """2,000 connects must not be 2,000 calls; their events travel together."""
    places = [CountedStream(f"sub:c{n}", (f"client:c{n}",)) for n in range(2000)]
    async with tellers(redis_url, prefix, "a") as (a,):
        await a.flushed()

        async def calls() -> Counter[str]:
            stats = await a.store.client.info("commandstats")
            named = ("evalsha", "xrange", "xrevrange", "xdel")
            return Counter({name: int(stats.get(f"cmdstat_{name}", {}).get("calls", 0)) for name in named})

        before = await calls()
        await asyncio.gather(*[a.presence.arrive(place) for place in places])
        for place in places:
            a.presence.leave(place)
        await until(lambda: _has_told(a, 2 * len(places)), "all news")
        made = await calls()
        made.subtract(before)
        pages = made["xdel"] + 1
        counting = made["evalsha"] - 2 * len(places)  # at most: the events of a page are one pipeline
        assert counting + pages + made["xrange"] + made["xrevrange"] + made["xdel"] < 0.05 * 2 * len(places), made


async def _is_empty(client: Any, key: str) -> bool:
    return not await client.xlen(key)


async def _has_told(node: Teller, count: int) -> bool:
    meta = await node.store.command("HGET", keys.channel_keys(node.prefix, PRESENCE).meta, "seq")
    return int(meta or 0) == count


async def test_what_a_killed_node_held_is_told_once_by_those_who_are_left(redis_url: str, prefix: str) -> None:
    async with tellers(redis_url, prefix, "a", "b", "c", pace=SHORT) as (a, b, c):
        await a.presence.arrive(ANN)
        await a.presence.arrive(BOB)
        await b.presence.arrive(BOB)
        await a.tells("+ann", "+bob")
        await a.kill()
        await c.tells("+ann", "+bob", "-ann")
        b.presence.leave(BOB)
        await c.tells("+ann", "+bob", "-ann", "-bob")


async def test_the_last_node_that_was_killed_is_gone_through_by_the_next_one_that_starts(
    redis_url: str, prefix: str
) -> None:
    async with tellers(redis_url, prefix, "a", pace=SHORT) as (a,):
        await a.presence.arrive(ANN)
        await a.tells("+ann")
        await a.kill()
        async with tellers(redis_url, prefix, "b", pace=SHORT) as (b,):
            await b.presence.arrive(BOB)
            await b.tells("+ann", "+bob", "-ann")


async def test_a_node_that_stops_takes_leave_of_its_clients_at_once(redis_url: str, prefix: str) -> None:
    async with tellers(redis_url, prefix, "a") as (a,):
        async with tellers(redis_url, prefix, "b") as (b,):
            await b.presence.arrive(ANN)
            await b.presence.arrive(BOB)
            await a.presence.arrive(BOB)
            await a.tells("+ann", "+bob")
        assert await a.told() == ["+ann", "+bob", "-ann"]


async def test_more_than_a_page_of_a_killed_nodes_clients_are_told_each_once(redis_url: str, prefix: str) -> None:
    async with tellers(redis_url, prefix, "a", "b", "c", pace=SHORT) as (a, b, c):
        names = [f"c{n:04}" for n in range(900)]
        await asyncio.gather(*[a.presence.arrive(CountedStream(f"sub:{n}", (f"client:{n}",))) for n in names])
        await until(lambda: _has_told(a, len(names)), "the arrivals")
        await a.kill()
        await until(lambda: _has_told(b, 2 * len(names)), "the ends")
        await c.flushed()
        told = await b.told()
        assert Counter(told) == Counter([f"+{n}" for n in names] + [f"-{n}" for n in names])


async def test_a_frozen_node_leaves_and_joins_again(redis_url: str, prefix: str) -> None:
    """Its lease had ended for the others; when it goes on it writes everything anew."""
    async with tellers(redis_url, prefix, "a", "b", pace=SHORT) as (a, b):
        await a.presence.arrive(ANN)
        await a.presence.arrive(BOB)
        await b.presence.arrive(BOB)
        await a.tells("+ann", "+bob")
        await a.freeze()
        await b.tells("+ann", "+bob", "-ann")
        a.thaw()
        await b.tells("+ann", "+bob", "-ann", "+ann")


async def test_a_node_that_writes_everything_anew_tells_only_what_changed(redis_url: str, prefix: str) -> None:
    async with tellers(redis_url, prefix, "a", pace=Pace(sync_fields=5)) as (a,):
        names = [f"c{n}" for n in range(30)]
        await asyncio.gather(*[a.presence.arrive(CountedStream(f"sub:{n}", (f"client:{n}",))) for n in names])
        await a.presence.arrive(ANN)
        await until(lambda: _has_told(a, 31), "the arrivals")
        await a.store.command("HSET", f"{prefix}:{{gateway}}:node:a", "generation", "0")
        a.presence.leave(ANN)
        await a.presence.arrive(BOB)
        expected = Counter([*[f"+{n}" for n in names], "+ann", "-ann", "+bob"])

        async def is_told() -> bool:
            return Counter(await a.told()) == expected

        await until(is_told, "what changed")
        await a.flushed()
        assert await is_told()


async def test_without_redis_streams_come_and_go_and_the_news_follow(own_broker: Broker, prefix: str) -> None:
    async with tellers(own_broker.url, prefix, "a") as (a,):
        await a.presence.arrive(ANN)
        await a.tells("+ann")
        own_broker.stop()
        assert await a.presence.arrive(BOB)
        a.presence.leave(ANN)
        own_broker.start()

        async def is_told() -> bool:
            return Counter(await a.told()) == Counter(["+ann", "+bob", "-ann"])

        await until(is_told, "the news")


async def test_news_that_nobody_took_are_bounded_and_their_loss_is_told(redis_url: str, prefix: str) -> None:
    async with tellers(redis_url, prefix, "a") as (a,):
        await a.presence.arrive(ANN)
        await a.tells("+ann")
        await a.hush()
        flood = ["XADD", a.news.keys[0], "*", "t", "joined", "c", "x", "n", "1"]
        async with a.store.client.pipeline(transaction=False) as pipe:
            for _ in range(10_000):
                pipe.execute_command(*flood)
            await pipe.execute()
        await a.presence.arrive(BOB)
        a.speak()
        await until(lambda: _has_told(a, 3), "the news")
        assert await a.types() == ["presence.joined", "presence.reset", "presence.joined"]


async def test_the_rights_that_the_guide_names_are_enough(broker: Broker, redis_url: str, prefix: str) -> None:
    client = redis.asyncio.Redis.from_url(redis_url)
    async with client:
        await client.execute_command(
            "ACL", "SETUSER", prefix, "on", ">pw", "resetchannels", *rule(Role.NODE, prefix).split()
        )
        url = redis_url.replace("redis://", f"redis://{prefix}:pw@")
        async with tellers(url, prefix, "a") as (a,), tellers(url, prefix, "b") as (b,):
            await a.presence.arrive(ANN)
            await b.presence.arrive(BOB)
            await until(lambda: _has_told(b, 2), "the news")
            left = a.news.keys[0]
            await until(lambda: _is_empty(client, left), "the outbox to be cleared")
        await client.execute_command("ACL", "DELUSER", prefix)


async def test_in_a_cluster_the_topic_is_in_another_slot_and_told_all_the_same(prefix: str) -> None:
    with redis_cluster() as nodes:
        url = cluster_url(nodes)
        async with tellers(url, prefix, "a", "b", pace=SHORT) as (a, b):
            await a.presence.arrive(ANN)
            await a.tells("+ann")
            await a.kill()
            await b.tells("+ann", "-ann")


@pytest.mark.parametrize("seed", range(1))
async def test_whatever_happens_each_client_joins_and_leaves_in_turn_and_the_news_end_at_the_truth(
    redis_url: str, prefix: str, seed: int
) -> None:
    """Nodes are killed and frozen, streams come and go on all of them; what is told never contradicts itself."""
    pace = Pace(lease_s=0.4, renew_s=0.1, sync_fields=3)
    random = Random(seed)
    places = [CountedStream(f"sub:c{n}", (f"client:c{n}",)) for n in range(5)]
    async with AsyncExitStack() as stack:

        async def start(number: int) -> Teller:
            return (await stack.enter_async_context(tellers(redis_url, prefix, f"n{number}", pace=pace)))[0]

        running = {number: await start(number) for number in range(3)}
        here: dict[int, list[CountedStream]] = {number: [] for number in running}
        for step in range(3, 63):
            number, place = random.choice(list(running)), random.choice(places)
            node = running[number]
            match random.choices(("arrive", "leave", "freeze", "kill", "pause"), (8, 8, 1, 1, 2))[0]:
                case "arrive":
                    assert await node.presence.arrive(place)
                    here[number].append(place)
                case "leave" if here[number]:
                    gone = here[number].pop(random.randrange(len(here[number])))
                    node.presence.leave(gone)
                case "freeze":
                    await node.freeze()
                    await asyncio.sleep(random.choice((0.1, 0.8)))
                    node.thaw()
                case "kill":
                    await running.pop(number).kill()
                    del here[number]
                    running[step], here[step] = await start(step), []
                case "pause":
                    await asyncio.sleep(random.uniform(0, 0.2))
        truth = {place.user_key.removeprefix("sub:") for each in here.values() for place in each}
        some = next(iter(running.values()))

        async def is_told() -> bool:
            online: set[str] = set()
            for word in await some.told():
                joined, client = word[0] == "+", word[1:]
                assert joined != (client in online), f"{word} was told twice: {await some.told()}"
                (online.add if joined else online.discard)(client)
            return online == truth

        await until(is_told, f"the news to end at {sorted(truth)}, not {await some.told()}")

"""Open streams are counted over all nodes, exactly, and what a dead node had counted is soon gone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from gateway.broker.store import Store
from gateway.exceptions import StoreDown
from gateway.presence.delivered import Delivered
from gateway.presence.presence import USUAL_PACE, Pace, Presence
from gateway.presence.reader import ClientFigures, Totals
from gateway.presence.stream_counts import CountedStream
from publisher.redis import connect
from tests.support.broker import Broker
from tests.support.proxy import Proxy
from tests.support.redis_cluster import cluster_url, redis_cluster
from tests.support.waiting import until

ANN = CountedStream("sub:ann", ("client:ann", "broadcast"))
BOB = CountedStream("sub:bob", ("client:bob", "broadcast"))
JOB = CountedStream("sub:ann", ("job:j1",))


class NodeData:
    """One node's presence at work, until it is left or killed."""

    def __init__(self, url: str, prefix: str, node_id: str, max_per_user: int, pace: Pace) -> None:
        self.prefix = prefix
        self.store = Store(connect.asyncio(url))
        self.draining = False
        self.delivered = Delivered.nothing()
        self.presence = Presence(
            self.store,
            prefix=prefix,
            node_id=node_id,
            version="1.2.3",
            max_per_user=max_per_user,
            draining=lambda: self.draining,
            delivered=lambda: self.delivered,
            pace=pace,
        )
        self._key = f"{prefix}:{{gateway}}:node:{node_id}"
        self._task = asyncio.create_task(self.presence.run())

    async def fields(self) -> dict[str, str]:
        """What Redis has of this node."""
        found = await self.store.command("HGETALL", self._key)
        return {name.decode(): value.decode() for name, value in found.items()}

    async def counted(self, **expected: int) -> None:
        """Wait until Redis has these counts; a name's ``_`` stands for a colon."""
        wanted = {name.replace("_", ":"): str(count) for name, count in expected.items() if count}

        async def are_there() -> bool:
            fields = await self.fields()
            return "generation" in fields and {name: n for name, n in fields.items() if ":" in name} == wanted

        await until(are_there, f"{wanted} in Redis")

    async def arrive(self, place: CountedStream, times: int) -> list[bool]:
        return list(await asyncio.gather(*[self.presence.arrive(place) for _ in range(times)]))

    async def kill(self) -> None:
        """End its work, as a crash would: nothing is tidied up."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def close(self) -> None:
        await self.kill()
        await self.presence.close()
        await self.store.close()


@contextlib.asynccontextmanager
async def nodes(
    url: str, prefix: str, *ids: str, max_per_user: int = 0, pace: Pace = USUAL_PACE
) -> AsyncIterator[list[NodeData]]:
    running = [NodeData(url, prefix, node_id, max_per_user, pace) for node_id in ids]
    try:
        yield running
    finally:
        for node in running:
            await node.close()


async def test_streams_of_all_nodes_are_listeners(redis_url: str, prefix: str) -> None:
    async with nodes(redis_url, prefix, "a", "b") as (a, b):
        assert await a.arrive(ANN, 2) == [True, True]
        assert await b.arrive(ANN, 1) == [True]
        assert await b.arrive(BOB, 1) == [True]
        for node in (a, b):
            assert await node.presence.reader.listeners("client:ann") == 3
            assert await node.presence.reader.listeners("client:nobody") == 0
            assert await node.presence.reader.listeners("broadcast") == 4


async def test_the_limit_of_a_user_is_exact_over_nodes_that_let_in_at_the_same_time(
    redis_url: str, prefix: str
) -> None:
    async with nodes(redis_url, prefix, "a", "b", "c", max_per_user=20) as running:
        granted = await asyncio.gather(*[node.arrive(ANN, 30) for node in running])
        assert sum(sum(each) for each in granted) == 20
        assert await running[0].presence.reader.listeners("client:ann") == 20
        assert await running[0].arrive(BOB, 1) == [True]


async def test_a_stream_that_comes_asks_as_much_of_redis_beside_many_nodes_as_beside_two(
    own_broker: Broker, prefix: str
) -> None:
    pace = Pace(lease_s=120, renew_s=60)
    names = [f"n{number}" for number in range(12)]

    async def asked(first: NodeData) -> int:
        before = await hash_reads(first.store)
        assert await first.arrive(BOB, 5) == [True] * 5
        return await hash_reads(first.store) - before

    async with nodes(own_broker.url, prefix, *names[:2], max_per_user=20, pace=pace) as (first, second):
        assert await second.arrive(BOB, 1) == [True]
        beside_two = await asked(first)
        async with nodes(own_broker.url, prefix, *names[2:], max_per_user=20, pace=pace) as others:
            for node in others:
                assert await node.arrive(ANN, 1) == [True]
            assert await asked(first) == beside_two


async def test_what_a_dead_node_has_left_of_its_users_is_swept_away(redis_url: str, prefix: str) -> None:
    users = f"{prefix}:{{gateway}}:users"
    async with nodes(redis_url, prefix, "a", "b", pace=Pace(lease_s=1.0, renew_s=0.1)) as (a, b):
        assert await a.presence.arrive(ANN)
        assert await b.presence.arrive(BOB)
        await a.kill()

        async def is_swept() -> bool:
            return list(await b.store.command("HKEYS", users)) == [b"user:sub:bob"]

        await until(is_swept, "nothing of the dead node's user")


async def test_what_a_node_counted_in_an_older_generation_counts_no_more(redis_url: str, prefix: str) -> None:
    async with nodes(redis_url, prefix, "a", "b", max_per_user=2) as (a, b):
        assert await a.arrive(ANN, 2) == [True] * 2
        assert await b.arrive(BOB, 1) == [True]
        for left in (ANN, ANN):
            a.presence._streams.remove(left)  # as if Redis had missed the end of both
        await a.store.command("DEL", f"{prefix}:{{gateway}}:node:a")
        assert await a.arrive(BOB, 1) == [True]
        assert await b.arrive(ANN, 2) == [True] * 2
        assert not await b.presence.arrive(ANN)


async def hash_reads(store: Store) -> int:
    found = await store.command("INFO", "commandstats")
    return sum(int(stats["calls"]) for name, stats in found.items() if name in ("cmdstat_hget", "cmdstat_hmget"))


async def test_a_limit_of_zero_is_none(redis_url: str, prefix: str) -> None:
    async with nodes(redis_url, prefix, "a") as (a,):
        assert all(await a.arrive(ANN, 300))


async def test_who_reconnects_right_after_closing_finds_the_place_free(redis_url: str, prefix: str) -> None:
    async with nodes(redis_url, prefix, "a", max_per_user=1) as (a,):
        assert await a.presence.arrive(ANN)
        for _ in range(200):
            a.presence.leave(ANN)
            assert await a.presence.arrive(ANN)
        assert not await a.presence.arrive(ANN)


async def test_a_place_that_was_left_is_free_on_another_node(redis_url: str, prefix: str) -> None:
    async with nodes(redis_url, prefix, "a", "b", max_per_user=1) as (a, b):
        assert await a.presence.arrive(ANN)
        assert not await b.presence.arrive(ANN)
        a.presence.leave(ANN)
        await a.counted()
        assert await b.presence.arrive(ANN)


async def test_streams_that_come_at_once_share_round_trips(redis_url: str, prefix: str) -> None:
    """Ten thousand connects a second must not be ten thousand calls."""
    async with nodes(redis_url, prefix, "a") as (a,):
        await a.counted()

        async def calls() -> int:
            stats = await a.store.client.info("commandstats")
            return int(stats["cmdstat_evalsha"]["calls"])

        before = await calls()
        await a.arrive(ANN, 1000)
        assert await calls() - before <= 10


async def test_only_counts_above_zero_are_kept(redis_url: str, prefix: str) -> None:
    async with nodes(redis_url, prefix, "a") as (a,):
        await a.arrive(ANN, 2)
        await a.counted(user_sub_ann=2, ch_client_ann=2, ch_broadcast=2)
        a.presence.leave(ANN)
        await a.counted(user_sub_ann=1, ch_client_ann=1, ch_broadcast=1)
        a.presence.leave(ANN)
        await a.counted()
        left = await a.fields()
        assert not {"streams", "client_streams", "clients", "channels"} & left.keys()


async def test_totals_count_each_client_and_channel_once(redis_url: str, prefix: str) -> None:
    """A connection counts if it listens to a client's channel, however many channels it has."""
    async with nodes(redis_url, prefix, "a", "b") as (a, b):
        assert await a.presence.reader.totals() == Totals(0, 0, 0)
        await a.arrive(ANN, 2)
        await a.arrive(JOB, 1)
        assert await a.presence.reader.totals() == Totals(2, 1, 3)
        assert await b.presence.reader.totals() == Totals(2, 1, 3)
        await b.arrive(ANN, 1)
        await b.arrive(CountedStream("sub:root", ("client:ann", "client:bob")), 1)
        assert await a.presence.reader.totals() == Totals(4, 2, 4)
        assert await b.presence.reader.totals() == Totals(4, 2, 4)


async def test_every_node_is_listed_with_its_figures(redis_url: str, prefix: str) -> None:
    async with nodes(redis_url, prefix, "a", "b") as (a, b):
        await a.arrive(ANN, 2)
        await b.arrive(JOB, 1)
        b.draining = True
        await b.arrive(BOB, 1)  # whatever is told goes along
        first, second = await a.presence.reader.nodes()
        assert (first.id, first.connections, first.clients, first.draining) == ("a", 2, 1, False)
        assert (second.id, second.connections, second.clients, second.draining) == ("b", 2, 1, True)
        assert (first.version, second.version) == ("1.2.3", "1.2.3")
        assert await b.presence.reader.nodes() == [first, second]


async def test_clients_are_listed_page_by_page_over_all_nodes(redis_url: str, prefix: str) -> None:
    async with nodes(redis_url, prefix, "a", "b") as (a, b):
        for number in range(25):
            await (a if number % 2 else b).arrive(CountedStream("sub:x", (f"client:c{number:02}",)), 1)
        await a.arrive(CountedStream("sub:x", ("client:c00",)), 2)
        listed: list[ClientFigures] = []
        cursor: str | None = None
        sizes: list[int] = []
        while not sizes or cursor:
            page = await b.presence.reader.clients(10, cursor)
            listed += page.clients
            sizes.append(len(page.clients))
            cursor = page.next
        assert sizes == [10, 10, 5]
        assert [each.client_id for each in listed] == [f"c{number:02}" for number in range(25)]
        assert listed[0] == ClientFigures("c00", 3, ["a", "b"])
        assert listed[1] == ClientFigures("c01", 1, ["a"])


async def test_more_clients_than_one_page_of_redis_are_all_listed(redis_url: str, prefix: str) -> None:
    async with nodes(redis_url, prefix, "a", "b") as (a, b):
        places = [CountedStream("sub:x", (f"client:c{number:04}",)) for number in range(2500)]
        await asyncio.gather(*[a.presence.arrive(place) for place in places])
        await b.arrive(BOB, 1)
        assert len((await b.presence.reader.clients(5000)).clients) == 2501
        assert await b.presence.reader.totals() == Totals(2501, 2501, 2502)


async def test_streams_of_a_client_are_counted_once_whether_by_token_or_by_channel(redis_url: str, prefix: str) -> None:
    async with nodes(redis_url, prefix, "a", "b") as (a, b):
        await a.arrive(ANN, 2)  # both
        await b.arrive(JOB, 1)  # her token
        await b.arrive(CountedStream("addr:127.0.0.1", ("client:ann",)), 1)  # her channel
        await b.arrive(BOB, 1)
        assert await a.presence.reader.streams_of_client("ann") == 4
        assert await b.presence.reader.streams_of_client("ann") == 4


async def test_ids_may_hold_any_printable_character(redis_url: str, prefix: str) -> None:
    place = CountedStream("sub:ü*[:]\\?", ("client:ü*[:]\\?", "job:日本"))
    async with nodes(redis_url, prefix, "a", "b", max_per_user=1) as (a, b):
        assert await a.presence.arrive(place)
        assert not await b.presence.arrive(place)
        assert (await b.presence.reader.clients(10)).clients == [ClientFigures("ü*[:]\\?", 1, ["a"])]


async def test_a_killed_node_counts_no_more_when_its_lease_is_over(redis_url: str, prefix: str) -> None:
    async with nodes(redis_url, prefix, "a", "b", max_per_user=1, pace=Pace(lease_s=1.0, renew_s=0.2)) as (a, b):
        assert await a.presence.arrive(ANN)
        await a.kill()
        assert not await b.presence.arrive(ANN)
        await until(lambda: b.presence.arrive(ANN), "the place of the killed node")
        assert [node.id for node in await b.presence.reader.nodes()] == ["b"]
        assert await b.presence.reader.listeners("client:ann") == 1


async def test_a_node_that_lost_its_lease_writes_everything_anew(redis_url: str, prefix: str) -> None:
    """It was frozen, or Redis was emptied: what is open is still open."""
    async with nodes(redis_url, prefix, "a", "b", pace=Pace(renew_s=0.1)) as (a, b):
        await a.arrive(ANN, 3)
        await a.arrive(JOB, 1)
        await a.store.command("DEL", f"{prefix}:{{gateway}}:nodes", f"{prefix}:{{gateway}}:node:a")
        await a.counted(user_sub_ann=4, ch_client_ann=3, ch_broadcast=3, ch_job_j1=1)

        async def is_heard() -> bool:
            return await b.presence.reader.listeners("client:ann") == 3

        await until(is_heard, "the other node to count it")
        figures = (await b.presence.reader.nodes())[0]
        assert (figures.connections, figures.client_streams, figures.clients, figures.channels) == (4, 3, 1, 3)


async def test_streams_that_come_and_go_while_the_lease_is_lost_are_counted_once(redis_url: str, prefix: str) -> None:
    async with nodes(redis_url, prefix, "a", max_per_user=5) as (a,):
        await a.arrive(ANN, 4)
        await a.store.command("DEL", f"{prefix}:{{gateway}}:node:a")
        a.presence.leave(ANN)
        assert await a.arrive(ANN, 3) == [True, True, False]
        await a.counted(user_sub_ann=5, ch_client_ann=5, ch_broadcast=5)


async def test_more_than_one_part_is_written_anew(redis_url: str, prefix: str) -> None:
    async with nodes(redis_url, prefix, "a", pace=Pace(renew_s=0.1, sync_fields=10)) as (a,):
        places = [CountedStream(f"sub:{number}", (f"client:{number}",)) for number in range(100)]
        await asyncio.gather(*[a.presence.arrive(place) for place in places])
        before = await a.fields()
        await a.store.command("DEL", f"{prefix}:{{gateway}}:node:a")

        async def is_whole() -> bool:
            return {**await a.fields(), "generation": before["generation"]} == before

        await until(is_whole, "everything to be there again")
        assert await a.store.command("KEYS", f"{prefix}:*node:a:*") == []


async def test_a_node_that_stops_takes_its_data_away(redis_url: str, prefix: str) -> None:
    async with nodes(redis_url, prefix, "a") as (a,):
        await a.arrive(ANN, 1)
        async with nodes(redis_url, prefix, "b") as (b,):
            await b.arrive(ANN, 1)
            assert await a.presence.reader.listeners("client:ann") == 2
        assert await a.presence.reader.listeners("client:ann") == 1
        assert await a.store.command("ZRANGE", f"{prefix}:{{gateway}}:nodes", 0, -1) == [b"a"]


async def test_who_went_away_while_waiting_leaves_no_trace(redis_url: str, prefix: str) -> None:
    async with nodes(redis_url, prefix, "a", max_per_user=1) as (a,):
        for turns in range(5):
            waiting = asyncio.create_task(a.presence.arrive(ANN))
            for _ in range(turns):
                await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        await a.arrive(BOB, 1)  # travels behind them
        await a.counted(user_sub_bob=1, ch_client_bob=1, ch_broadcast=1)


async def test_without_redis_the_streams_of_this_node_count_alone_until_it_is_back(
    own_broker: Broker, prefix: str
) -> None:
    async with nodes(own_broker.url, prefix, "a", "b", max_per_user=3) as (a, b):
        assert await a.arrive(ANN, 2) == [True, True]
        own_broker.kill()
        assert await a.arrive(ANN, 2) == [True, False]
        a.presence.leave(ANN)
        assert await a.arrive(ANN, 2) == [True, False]
        assert await b.arrive(ANN, 4) == [True, True, True, False]
        with pytest.raises(StoreDown):
            await a.presence.reader.listeners("client:ann")
        own_broker.start()
        await a.counted(user_sub_ann=3, ch_client_ann=3, ch_broadcast=3)
        await b.counted(user_sub_ann=3, ch_client_ann=3, ch_broadcast=3)
        assert await a.presence.reader.listeners("client:ann") == 6
        assert await a.arrive(ANN, 1) == [False]


async def test_a_call_whose_answer_was_lost_counts_once(broker: Broker, redis_url: str, prefix: str) -> None:
    """Redis took it in, and the node cannot know: it writes everything anew."""
    with Proxy(broker.port) as proxy:
        pace = Pace(lease_s=7200, renew_s=3600)  # no renewal is under way when the answers stop, nor a lease over
        async with nodes(proxy.redis_url, prefix, "a", pace=pace) as (a,), nodes(redis_url, prefix, "b") as (b,):
            assert await a.arrive(BOB, 1) == [True]  # all its earlier calls are answered, and Redis knows the script
            proxy.blackhole("down")
            arriving = asyncio.create_task(a.arrive(ANN, 2))

            async def is_counted() -> bool:
                return await b.presence.reader.listeners("client:ann") == 2

            await until(is_counted, "Redis to take the call in")
            assert await arriving == [True, True]
            proxy.restore()

            async def is_written_anew() -> bool:
                return int((await a.fields())["generation"]) > 1

            await until(is_written_anew, "everything to be written anew")
            await a.counted(user_sub_ann=2, user_sub_bob=1, ch_client_ann=2, ch_client_bob=1, ch_broadcast=3)


async def test_calls_that_waited_in_a_server_that_hung_change_nothing(own_broker: Broker, prefix: str) -> None:
    """They come to life with it, beside what was written since."""
    async with nodes(own_broker.url, prefix, "a") as (a,):
        await a.arrive(ANN, 3)
        own_broker.freeze()
        try:
            assert await a.arrive(JOB, 2) == [True, True]  # alone, after the time limit of the call
            a.presence.leave(ANN)
        finally:
            own_broker.thaw()
        await a.counted(user_sub_ann=4, ch_client_ann=2, ch_broadcast=2, ch_job_j1=2)
        assert await a.arrive(BOB, 1) == [True]
        await a.counted(user_sub_ann=4, user_sub_bob=1, ch_client_ann=2, ch_client_bob=1, ch_broadcast=3, ch_job_j1=2)


async def test_a_cluster_counts_like_one_server(prefix: str) -> None:
    with redis_cluster() as brokers:
        async with nodes(cluster_url(brokers), prefix, "a", "b", max_per_user=3) as (a, b):
            granted = await asyncio.gather(a.arrive(ANN, 3), b.arrive(ANN, 3))
            assert sum(map(sum, granted)) == 3
            assert await a.presence.reader.totals() == Totals(3, 1, 2)
            assert await b.presence.reader.listeners("client:ann") == 3
            assert [each.connections for each in (await a.presence.reader.clients(10)).clients] == [3]

"""All nodes share one secret for tickets, and it survives what happens to Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from gateway.auth.errors import AuthUnavailable
from gateway.auth.ticket_key import SharedTicketKey, is_secret
from gateway.auth.ticket_rotation import rotate
from gateway.metrics.unreadable import Unreadable
from publisher.keys import old_ticket_key, ticket_key
from publisher.redis import connect
from tests.support.broker import Broker


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def client(broker: Broker) -> AsyncIterator[Redis]:
    connection = Redis.from_url(broker.url, socket_timeout=2, retry=Retry(NoBackoff(), 0))
    try:
        yield connection
    finally:
        await connection.aclose()


async def test_nodes_that_start_together_agree_on_one_secret(broker: Broker, prefix: str) -> None:
    async with client(broker) as redis:
        keys = await asyncio.gather(*(SharedTicketKey(redis, prefix).get() for _ in range(10)))
        assert len(set(keys)) == 1
        assert len(keys[0].signing) == 43 and keys[0].other is None
        assert keys[0].signing not in repr(keys[0])
        assert keys[0] != await SharedTicketKey(redis, prefix + "x").get()


async def test_a_secret_that_redis_lost_is_put_back(broker: Broker, prefix: str) -> None:
    clock = Clock()
    async with client(broker) as redis:
        shared = SharedTicketKey(redis, prefix, clock=clock)
        first = await shared.get()
        await redis.delete(ticket_key(prefix))
        clock.now += 2
        assert await shared.get() == first
        assert await SharedTicketKey(redis, prefix).get() == first


async def test_the_known_secret_is_used_while_redis_is_away(own_broker: Broker, prefix: str) -> None:
    clock = Clock()
    async with client(own_broker) as redis:
        shared = SharedTicketKey(redis, prefix, clock=clock)
        first = await shared.get()
        own_broker.kill()
        clock.now += 2
        assert await shared.get() == first


async def test_without_redis_and_secret_it_is_a_temporary_refusal(own_broker: Broker, prefix: str) -> None:
    clock = Clock()
    own_broker.kill()
    async with client(own_broker) as redis:
        shared = SharedTicketKey(redis, prefix, clock=clock)
        with pytest.raises(AuthUnavailable, match="GATEWAY_TICKET_KEY"):
            await shared.get()
        own_broker.start()
        clock.now += 2
        assert (await shared.get()).signing


async def test_what_is_no_secret_is_replaced_and_counted(broker: Broker, prefix: str) -> None:
    """No node could make or take a ticket, for good."""
    clock, unreadable = Clock(), Unreadable()
    async with client(broker) as redis:
        shared = SharedTicketKey(redis, prefix, clock=clock, unreadable=unreadable)
        rubbish = [("SET", ""), ("SET", "x"), ("SET", b"\xff" * 43), ("LPUSH", "x"), ("HSET", "x", "x")]
        first = await SharedTicketKey(redis, prefix).get()
        for command, *values in rubbish:
            for key in (ticket_key(prefix), old_ticket_key(prefix)):
                await redis.delete(key)
                await redis.execute_command(command, key, *values)
            clock.now += 2
            found = await shared.get()
            assert is_secret(found.signing) and found.other is None
            assert found.signing != first.signing, "a node that knows none makes one"
            assert await shared.look_again() == await SharedTicketKey(redis, prefix).get() == found
        assert unreadable.counts["secret"] == 2 * len(rubbish)
        await redis.delete(ticket_key(prefix))
        await redis.lpush(ticket_key(prefix), "x")
        with connect.blocking(broker.url) as blocking:
            assert rotate(blocking, prefix, 0)
        clock.now += 2
        assert (await shared.get()).signing != found.signing


async def test_a_rotation_is_noticed_within_a_second_and_keeps_the_old_secret_for_a_while(
    broker: Broker, prefix: str
) -> None:
    clock = Clock()
    async with client(broker) as redis:
        shared = SharedTicketKey(redis, prefix, clock=clock)
        first = await shared.get()
        assert rotate(connect.blocking(broker.url), prefix, 900)
        assert await shared.get() == first
        clock.now += 1.1
        second = await shared.get()
        assert second.signing != first.signing and second.other == first.signing
        assert 890_000 < await redis.pttl(old_ticket_key(prefix)) <= 900_000
        await redis.delete(old_ticket_key(prefix))
        clock.now += 1.1
        assert (await shared.get()).accepted == (second.signing,)


async def test_a_second_rotation_would_cut_off_good_tickets_and_is_refused(broker: Broker, prefix: str) -> None:
    async with client(broker) as redis:
        shared = SharedTicketKey(redis, prefix)
        first = await shared.get()
        admin = connect.blocking(broker.url)
        assert rotate(admin, prefix, 900)
        assert not rotate(admin, prefix, 900)
        second = await shared.look_again()
        assert second.other == first.signing
        assert rotate(admin, prefix, 0), "a secret that has leaked is replaced at once"
        third = await shared.look_again()
        assert third.other is None and third.signing not in (first.signing, second.signing)


async def test_many_tickets_of_an_unknown_secret_share_a_look(broker: Broker, prefix: str) -> None:
    async with client(broker) as redis:
        shared = SharedTicketKey(redis, prefix)
        first = await shared.get()
        assert rotate(connect.blocking(broker.url), prefix, 900)
        before = (await redis.info("commandstats")).get("cmdstat_eval", {"calls": 0})["calls"]
        found = await asyncio.gather(*(shared.look_again() for _ in range(100)))
        assert {keys.other for keys in found} == {first.signing}
        assert (await redis.info("commandstats"))["cmdstat_eval"]["calls"] - before <= 2


async def test_a_ticket_of_an_unknown_secret_is_not_judged_while_redis_is_away(own_broker: Broker, prefix: str) -> None:
    """It may be of a secret that came meanwhile, and a refusal would stop an EventSource for good."""
    async with client(own_broker) as redis:
        shared = SharedTicketKey(redis, prefix)
        await shared.get()
        own_broker.kill()
        with pytest.raises(AuthUnavailable):
            await shared.look_again()

"""All nodes share one secret for tickets, and it survives what happens to Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from gateway.auth_errors import AuthUnavailable
from gateway.ticket_key import SharedTicketKey, key_name
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
        assert len(keys[0]) == 43
        assert keys[0] != await SharedTicketKey(redis, prefix + "x").get()


async def test_a_secret_that_redis_lost_is_put_back(broker: Broker, prefix: str) -> None:
    clock = Clock()
    async with client(broker) as redis:
        shared = SharedTicketKey(redis, prefix, clock=clock)
        first = await shared.get()
        await redis.delete(key_name(prefix))
        clock.now += 31
        assert await shared.get() == first
        assert await SharedTicketKey(redis, prefix).get() == first


async def test_the_known_secret_is_used_while_redis_is_away(own_broker: Broker, prefix: str) -> None:
    clock = Clock()
    async with client(own_broker) as redis:
        shared = SharedTicketKey(redis, prefix, clock=clock)
        first = await shared.get()
        own_broker.kill()
        clock.now += 31
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
        assert await shared.get()


async def test_a_short_secret_that_somebody_put_there_is_not_used(broker: Broker, prefix: str) -> None:
    async with client(broker) as redis:
        await redis.set(key_name(prefix), "password")
        with pytest.raises(AuthUnavailable):
            await SharedTicketKey(redis, prefix).get()

"""What came in one piece is taken in one go, and is what redis-py reads one by one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import redis.asyncio
from redis.exceptions import ResponseError

from publisher.asyncio.pipeline import AsyncPooledPipeline
from publisher.redis import packing


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
async def client(redis_url: str, request: pytest.FixtureRequest) -> AsyncIterator[redis.asyncio.Redis]:
    async with redis.asyncio.Redis.from_url(redis_url, protocol=request.param) as client:
        yield client


async def test_replies_come_in_their_order_and_errors_in_their_places(client: redis.asyncio.Redis, prefix: str) -> None:
    wrong = packing.command(("HGET", f"{prefix}:list", "x"))
    commands = [packing.command(("RPUSH", f"{prefix}:list", b"x" * 5000, number)) for number in range(300)]
    commands[100:100] = [wrong]
    replies = await AsyncPooledPipeline(client).ask([*commands, packing.command(("LLEN", f"{prefix}:list")), wrong])
    assert [reply for reply in replies if isinstance(reply, int)] == [*range(2, 602, 2), 600]
    assert isinstance(replies[100], ResponseError)
    assert isinstance(replies[-1], ResponseError)


async def test_the_next_call_finds_none_of_them(client: redis.asyncio.Redis) -> None:
    line = AsyncPooledPipeline(client)
    for number in range(20):
        assert await line.ask([packing.command(("ECHO", f"{number}-{n}")) for n in range(number)]) == [
            f"{number}-{n}".encode() for n in range(number)
        ]

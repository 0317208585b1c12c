"""What people write by hand: sse-starlette, and a Redis pub/sub connection for each client. Served by uvicorn."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import redis.asyncio
from sse_starlette.sse import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

client = redis.asyncio.Redis.from_url(os.environ["BENCH_REDIS_URL"], max_connections=100_000)


async def events(request: Request) -> EventSourceResponse:
    channel = request.path_params["channel"]

    async def stream() -> AsyncIterator[dict[str, str]]:
        async with client.pubsub() as pubsub:
            await pubsub.subscribe(channel)
            async for message in pubsub.listen():
                if message["type"] == "message":
                    yield {"event": "tick", "data": message["data"].decode()}
                else:
                    yield {"comment": "subscribed"}

    return EventSourceResponse(stream(), ping=600)


app = Starlette(routes=[Route("/{channel}", events)])

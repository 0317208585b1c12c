"""What people write by hand so that an answer survives a reload: a Redis list and a pub/sub channel for each answer.

The server is ``app``, served by uvicorn with BENCH_REDIS_URL. Run as a program it is the worker: see ``writer.py``.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator

import redis.asyncio
from sse_starlette.sse import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from tests.bench.answers.pace import write_all

EXPIRE_S = 24 * 3600
END = "[DONE]"

client = redis.asyncio.Redis.from_url(
    os.environ.get("BENCH_REDIS_URL", "redis://"), max_connections=100_000, decode_responses=True
)


class Writer:
    """One answer of a worker: what has been said is in a list, and announced."""

    def __init__(self, number: int) -> None:
        self.kept = f"answer:{number}"
        self.live = f"live:{number}"
        self.index = 0

    async def text(self, text: str) -> None:
        await self._append(json.dumps({"text": text}))

    async def done(self) -> None:
        await self._append(json.dumps({"end": END}))

    async def _append(self, data: str) -> None:
        async with client.pipeline(transaction=False) as pipe:
            pipe.rpush(self.kept, data)
            pipe.expire(self.kept, EXPIRE_S)
            pipe.publish(self.live, f"{self.index} {data}")
            await pipe.execute()
        self.index += 1


async def events(request: Request) -> EventSourceResponse:
    """What a viewer lacks, and then what follows."""
    number = request.path_params["number"]
    first = int(request.headers.get("last-event-id", "-1")) + 1

    async def stream() -> AsyncIterator[dict[str, str]]:
        following = first
        async with client.pubsub() as pubsub:
            await pubsub.subscribe(f"live:{number}")
            for piece in await client.lrange(f"answer:{number}", first, -1):
                yield {"id": str(following), "data": str(piece)}
                following += 1
            async for message in pubsub.listen():
                if message["type"] != "message":
                    yield {"comment": "subscribed"}
                    continue
                index, _, data = message["data"].partition(" ")
                if int(index) < following:
                    continue
                yield {"id": index, "data": data}
                following = int(index) + 1
                if END in data:
                    return

    return EventSourceResponse(stream(), ping=600)


app = Starlette(routes=[Route("/answers/{number:int}", events)])


async def main(answers: int, per_second: float) -> None:
    held = [Writer(number) for number in range(answers)]
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        cpu = time.process_time()
        pieces = await write_all(answers, per_second, float(line), lambda number, text: held[number].text(text))
        print(pieces, time.process_time() - cpu, flush=True)
    for each in held:
        await each.done()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))

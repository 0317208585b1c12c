"""One scenario for both publishers: blocking calls are made as they are, coroutines are awaited."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import redis

from publisher import AsyncPublisher, Publisher
from publisher.envelope import Event, decode
from publisher.keys import channel_keys

FACES = {"blocking": Publisher, "asyncio": AsyncPublisher}


async def done(result: Any) -> Any:
    """The outcome of a call of either publisher."""
    return await result if inspect.isawaitable(result) else result


async def side_by_side(*calls: Callable[[], Any]) -> list[Any]:
    """The outcomes of several calls of either publisher made at the same time, errors among them."""

    async def one(call: Callable[[], Any]) -> Any:
        return await done(await asyncio.to_thread(call))

    return await asyncio.gather(*map(one, calls), return_exceptions=True)


@asynccontextmanager
async def within(thing: Any) -> AsyncIterator[Any]:
    """``with`` or ``async with``, whichever the thing has."""
    if hasattr(thing, "__aenter__"):
        async with thing as inside:
            yield inside
    else:
        with thing as inside:
            yield inside


async def tracked(job: Any, *args: Any, **kwargs: Any) -> list[Any]:
    """All items that ``job.track()`` passes on."""
    items = job.track(*args, **kwargs)
    return [item async for item in items] if hasattr(items, "__aiter__") else list(items)


class Reader:
    """What is in Redis, read without the publisher."""

    def __init__(self, url: str, prefix: str) -> None:
        self.client: Any = redis.Redis.from_url(url, protocol=2)
        self.prefix = prefix
        self.url = url

    def close(self) -> None:
        self.client.close()

    def log(self, channel: str) -> list[Event]:
        """A channel's history as events; the entry ids are checked on the way."""
        found = []
        for entry_id, fields in self.client.xrange(channel_keys(self.prefix, channel).log):
            event = decode(channel, fields[b"m"])
            assert entry_id == b"%d-0" % event.seq
            found.append(event)
        return found

    def types(self, channel: str) -> list[str]:
        return [event.type for event in self.log(channel)]

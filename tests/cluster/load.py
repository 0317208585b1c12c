"""A load that passes hostile clients, and what it does to a node meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from publisher import AsyncPublisher
from tests.support.meter import Meter
from tests.support.node import Node
from tests.support.number_reader import NumberReader

CHANNEL = "topic:load"
PATH = f"/v1/events?channel={CHANNEL}"
AT_ONCE = 16


class Load:
    """Publishes events with the numbers 1, 2, 3 … and ``size`` bytes each."""

    def __init__(self, publisher: AsyncPublisher, size: int) -> None:
        self.sent = 0
        self._publisher = publisher
        self._text = "x" * size

    async def publish(self, count: int, *readers: NumberReader) -> None:
        """Return when all of them are published, and ``readers``, who set the pace, have got them."""
        for start in range(0, count, AT_ONCE):
            numbers = range(self.sent + 1, self.sent + 1 + min(AT_ONCE, count - start))
            await self._publisher.publish_many([(CHANNEL, "n", {"n": n, "text": self._text}) for n in numbers])
            self.sent = numbers[-1]
            for reader in readers:
                await reader.wait_for(self.sent)


@asynccontextmanager
async def loading(redis_url: str, prefix: str, size: int, history_events: int = 500) -> AsyncIterator[Load]:
    async with AsyncPublisher.from_url(redis_url, prefix=prefix, history_events=history_events) as publisher:
        yield Load(publisher, size)


class Watch:
    """Looks at a node all the time: its memory, what it holds back for slow clients, whether it is ready."""

    def __init__(self, node: Node) -> None:
        self.memory = 0
        self.queue = 0.0
        self.readyz: set[int] = set()
        self._node = node
        self._meter = Meter(node)

    async def run(self) -> None:
        while True:
            self.memory = max(self.memory, self._meter.memory())
            self.queue = max(self.queue, await self._meter.figure("queue_bytes"))
            self.readyz.add(await asyncio.to_thread(self._node.readyz))
            await asyncio.sleep(0.05)

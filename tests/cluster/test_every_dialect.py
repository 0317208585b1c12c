"""From a worker in one process over Redis and two nodes to clients of every dialect: all events once, in order."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from publisher import AsyncPublisher
from tests.cluster.checker import Truth, View, accepted, has_all, problems, views
from tests.support.broker import Broker
from tests.support.eventsource import EventSource
from tests.support.node import Node
from tests.support.tokens import token

# The lines that these loads run are measured by the tests of each dialect.

ROOT = Path(__file__).parents[2]
SETTINGS: dict[str, Any] = {"MAX_CONNECTIONS_PER_USER": 0, "RETRY_MS": "20-60"}


class Worker:
    """The job worker's process and what it says was accepted."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.accepted: dict[str, int] = {}
        self._changed = asyncio.Condition()

    async def read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            said = json.loads(line)
            async with self._changed:
                self.accepted[said["channel"]] = said["n"]
                self._changed.notify_all()

    async def has_come_to(self, number: int) -> None:
        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(lambda: self.accepted.get("job", 0) >= number)

    async def ended(self) -> int:
        async with asyncio.timeout(90):
            return await self.process.wait()


@asynccontextmanager
async def worker(url: str, prefix: str, rate: float, seconds: float, job_id: str) -> AsyncIterator[Worker]:
    arguments = [url, prefix, str(rate), str(seconds), job_id]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.cluster.worker", *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    running = Worker(process)
    reading = asyncio.create_task(running.read())
    try:
        yield running
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await reading


@asynccontextmanager
async def watching(
    bases: list[str], job_id: str, total: int, *, reconnect: bool
) -> AsyncIterator[list[tuple[View, EventSource]]]:
    """Every view once per base, each starting at another node, all of them open when this is entered."""
    async with AsyncExitStack() as stack:
        pairs = []
        for turn in range(len(bases)):
            order = bases[turn:] + bases[:turn]
            for view in views(job_id, total):
                source = EventSource(order, view.path, token=token("user-1", channels=["topic:*"]), reconnect=reconnect)
                pairs.append((view, await stack.enter_async_context(source)))
        for _, source in pairs:
            await source.opened()
            assert source.status == 200
        yield pairs


async def everything_arrived(pairs: list[tuple[View, EventSource]], truth: Truth, total: int) -> None:
    assert all(numbers == list(range(1, total + 1)) for channel, numbers in truth.items() if channel != "job")
    assert truth["job"][-1] == total
    for view, source in pairs:
        await source.wait_for(lambda v=view, s=source: has_all(v, s, truth), view.name, 30)  # type: ignore[misc]
    assert [problem for view, source in pairs for problem in problems(view, source, truth)] == []


async def announced_job(url: str, prefix: str, job_id: str) -> None:
    """Register the job, as a back end does before a worker has it, so that its owner can already watch."""
    async with AsyncPublisher.from_url(url, prefix=prefix) as publisher:
        await publisher.create_job(job_id, kind="character", owner="user-1", meta={"provider_id": "p1"})


async def test_every_event_reaches_every_dialect_on_every_node_once_and_in_order(
    redis_url: str, prefix: str, start_node: Callable[..., Node]
) -> None:
    bases = [start_node(**SETTINGS).base for _ in range(2)]
    await announced_job(redis_url, prefix, "j1")
    async with (
        watching(bases, "j1", 200, reconnect=False) as pairs,
        worker(redis_url, prefix, 100, 2, "j1") as running,
    ):
        assert await running.ended() == 0
        await everything_arrived(pairs, accepted(redis_url, prefix, "j1"), 200)


@pytest.mark.parametrize("fault", ["pubsub connections killed", "redis restarted", "node killed"])
async def test_nothing_is_lost_or_repeated_under_load_when(fault: str, own_broker: Broker, prefix: str) -> None:
    """100 steps per second on four channels each; the worker's job neither raises nor loses its end."""
    total = 400
    async with AsyncExitStack() as stack:
        nodes = [stack.enter_context(Node(own_broker.url, prefix, **SETTINGS)) for _ in range(2)]
        bases = [node.base for node in nodes]
        await announced_job(own_broker.url, prefix, "j1")
        async with (
            watching(bases, "j1", total, reconnect=True) as pairs,
            worker(own_broker.url, prefix, 100, total / 100, "j1") as running,
        ):
            await running.has_come_to(100)
            await strike(fault, own_broker, nodes)
            await running.has_come_to(250)
            await strike(fault, own_broker, nodes)
            assert await running.ended() == 0
            await everything_arrived(pairs, accepted(own_broker.url, prefix, "j1"), total)


async def strike(fault: str, broker: Broker, nodes: list[Node]) -> None:
    if fault == "pubsub connections killed":
        async with Redis.from_url(broker.url) as client:
            await client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    elif fault == "redis restarted":
        await asyncio.to_thread(broker.restart)
    else:
        nodes[0].kill()
        await asyncio.to_thread(nodes[0].start)

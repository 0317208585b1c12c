"""arq with one task at a time."""

from __future__ import annotations

import asyncio
import functools
import time
from typing import Any, Final

from arq import create_pool, func
from arq.connections import RedisSettings

from publisher.integrations.arq import enqueue_job, report
from tests.bench.queues import places, tasks

WORKER: Final = ["arq", "tests.bench.queues.arq_queue.WorkerSettings"]
SETTINGS: Final = RedisSettings.from_dsn(places.QUEUE_URL)


async def nothing(ctx: dict[str, Any]) -> None:
    await tasks.nothing_async()


async def hold(ctx: dict[str, Any], path: str) -> None:
    await tasks.hold_async(path)


async def mark(ctx: dict[str, Any], path: str) -> None:
    await tasks.mark_async(path)


class WorkerSettings:
    functions = [func(nothing), func(hold), func(mark)]  # noqa: RUF012  (arq reads the class)
    redis_settings = SETTINGS
    max_jobs = 1
    poll_delay = 0.005  # it starts so many tasks with each look
    log_results = False


if places.EVENTS_URL:
    report(WorkerSettings, places.EVENTS_URL)

runner = asyncio.Runner()


@functools.cache
def pool() -> Any:
    return runner.run(create_pool(SETTINGS))


async def enqueue_all(there: Any, count: int) -> None:
    for _ in range(count):
        if places.EVENTS_URL:
            await enqueue_job(there, "nothing", owner="ann")
        else:
            await there.enqueue_job("nothing")


def send(count: int) -> None:
    """Queue so many empty tasks."""
    runner.run(enqueue_all(pool(), count))


def send_hold(path: str) -> None:
    runner.run(pool().enqueue_job("hold", path))
    apart()


def send_mark(path: str) -> None:
    apart()
    runner.run(pool().enqueue_job("mark", path))


def apart() -> None:
    """arq orders tasks by the millisecond."""
    time.sleep(0.005)

"""taskiq with one task at a time."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from taskiq_redis import RedisStreamBroker

from publisher.integrations.taskiq import ReportJobs
from tests.bench.queues import places, tasks

OPTIONS: Final = "--workers 1 --max-async-tasks 1 --log-level WARNING"
WORKER: Final = f"taskiq worker tests.bench.queues.taskiq_queue:broker {OPTIONS}".split()

broker = RedisStreamBroker(places.QUEUE_URL, consumer_id="0")  # also what was queued before the worker began
if places.EVENTS_URL:
    broker.add_middlewares(ReportJobs(places.EVENTS_URL))
nothing: Any = broker.task("nothing")(tasks.nothing_async)
hold: Any = broker.task("hold")(tasks.hold_async)
mark: Any = broker.task("mark")(tasks.mark_async)

runner = asyncio.Runner()


async def send_all(task: Any, count: int, *arguments: Any, **labels: Any) -> None:
    for _ in range(count):
        await task.kicker().with_labels(**labels).kiq(*arguments)


def send(count: int) -> None:
    """Queue so many empty tasks."""
    runner.run(send_all(nothing, count, **places.HEADERS))


def send_hold(path: str) -> None:
    runner.run(send_all(hold, 1, path))


def send_mark(path: str) -> None:
    runner.run(send_all(mark, 1, path))

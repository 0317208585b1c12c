"""RQ, which forks a process for each task."""

from __future__ import annotations

from typing import Any, Final

import redis
import rq

from publisher.integrations.rq import enqueue
from tests.bench.queues import places, tasks

CLASS: Final = ["-w", "publisher.integrations.rq.Worker"] if places.EVENTS_URL else []
WORKER: Final = ["rq.cli", "worker", *CLASS, "--url", places.QUEUE_URL, "--quiet", "default"]

queue = rq.Queue(connection=redis.Redis.from_url(places.QUEUE_URL))
put: Any = queue.enqueue


def send(count: int) -> None:
    """Queue so many empty tasks."""
    for _ in range(count):
        if places.EVENTS_URL:
            enqueue(queue, tasks.nothing, owner="ann")
        else:
            put(tasks.nothing)


def send_hold(path: str) -> None:
    put(tasks.hold, path)


def send_mark(path: str) -> None:
    put(tasks.mark, path)

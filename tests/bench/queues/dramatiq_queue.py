"""Dramatiq with one thread."""

from __future__ import annotations

from typing import Final

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from publisher.integrations.dramatiq import ReportJobs
from tests.bench.queues import places, tasks

WORKER: Final = ["dramatiq", "tests.bench.queues.dramatiq_queue", "--processes", "1", "--threads", "1"]

broker = RedisBroker(url=places.QUEUE_URL)
if places.EVENTS_URL:
    broker.add_middleware(ReportJobs(places.EVENTS_URL))
dramatiq.set_broker(broker)
nothing = dramatiq.actor(broker=broker)(tasks.nothing)
hold = dramatiq.actor(broker=broker)(tasks.hold)
mark = dramatiq.actor(broker=broker, priority=100)(tasks.mark)  # behind all others


def send(count: int) -> None:
    """Queue so many empty tasks."""
    for _ in range(count):
        nothing.send_with_options(**places.HEADERS)


def send_hold(path: str) -> None:
    hold.send(path)


def send_mark(path: str) -> None:
    mark.send(path)

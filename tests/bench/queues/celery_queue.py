"""Celery with one process for its tasks."""

from __future__ import annotations

from typing import Any, Final

from celery import Celery

from publisher.integrations.celery import report
from tests.bench.queues import places, tasks

OPTIONS: Final = "-c 1 --without-gossip --without-mingle --without-heartbeat"
WORKER: Final = f"celery -A tests.bench.queues.celery_queue worker {OPTIONS}".split()

app: Any = Celery("bench", broker=places.QUEUE_URL)
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)
if places.EVENTS_URL:
    report(app, places.EVENTS_URL)
nothing, hold, mark = (app.task(each, name=each.__name__) for each in (tasks.nothing, tasks.hold, tasks.mark))


def send(count: int) -> None:
    """Queue so many empty tasks."""
    for _ in range(count):
        nothing.apply_async(headers=places.HEADERS or None)


def send_hold(path: str) -> None:
    hold.delay(path)


def send_mark(path: str) -> None:
    mark.delay(path)

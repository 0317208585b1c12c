"""The actors that Dramatiq's worker runs in the tests. Addresses come from the environment."""

from __future__ import annotations

import os
from typing import Any

import dramatiq
from dramatiq.brokers.redis import MAINTENANCE_SCALE, RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from publisher import current_job, reported
from publisher.integrations.dramatiq import ReportJobs
from tests.integrations import work

# What a killed worker had is queued again after two seconds without a sign of life.
broker = RedisBroker(url=os.environ["QUEUE_URL"], heartbeat_timeout=2000, maintenance_chance=MAINTENANCE_SCALE)
backend = RedisBackend(url=os.environ["QUEUE_URL"])
broker.add_middleware(Results(backend=backend))
broker.add_middleware(ReportJobs(os.environ["EVENTS_URL"], prefix=os.environ["PREFIX"], **work.options()))
dramatiq.set_broker(broker)


@dramatiq.actor(broker=broker, store_results=True)
def paint(steps: int) -> dict[str, Any]:
    return work.paint(steps)


@dramatiq.actor(broker=broker, max_retries=0)
def broken() -> None:
    work.broken()


@dramatiq.actor(broker=broker, max_retries=2, min_backoff=1, max_backoff=1)
def flaky(failures: int) -> str:
    return work.flaky(failures)


@dramatiq.actor(broker=broker, max_retries=2, min_backoff=1, max_backoff=1)
def wait() -> None:
    work.wait()


@dramatiq.actor(broker=broker, max_retries=0, store_results=True)
def gate(path: str) -> str:
    return work.gate(path)


@dramatiq.actor(broker=broker, max_retries=0, time_limit=300)
def slow() -> None:
    work.idle()


@dramatiq.actor(broker=broker)
@reported(kind="picture")
def marked() -> None:
    current_job().progress(50)


@dramatiq.actor(broker=broker, max_age=1)
def old() -> None:
    current_job().progress(50)

"""The tasks that Celery's worker runs in the tests. Addresses come from the environment."""

from __future__ import annotations

import os
import signal
from functools import partial
from typing import Any

from celery import Celery
from celery.exceptions import Ignore, Reject

from publisher import current_job, reported
from publisher.integrations.celery import report
from tests.integrations import work

app = Celery("tests", broker=os.environ["QUEUE_URL"], backend=os.environ["QUEUE_URL"])
app.conf.update(
    broker_connection_retry_on_startup=True,
    # What a killed worker had is run again by the next one after two seconds.
    broker_transport_options={
        "visibility_timeout": 2,
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
        "unacked_mutex_expire": 1,
    },
    task_default_queue=os.environ.get("QUEUE", "celery"),
    task_default_retry_delay=0,
    worker_prefetch_multiplier=1,
)
task = partial(app.task, shared=False)  # the tests load this module several times in one process
report(app, os.environ["EVENTS_URL"], prefix=os.environ["PREFIX"], tracebacks=True, **work.options())


@task(name="paint")
def paint(steps: int) -> dict[str, Any]:
    return work.paint(steps)


@task(name="marked")
@reported(kind="picture")
def marked() -> None:
    current_job().progress(50)


@task(name="broken")
def broken() -> None:
    work.broken()


@task(name="odd")
def odd() -> object:
    current_job().complete({"mine": 1})
    return "ignored"


@task(name="flaky", autoretry_for=(Exception,), max_retries=2, default_retry_delay=0, retry_backoff=False)
def flaky(failures: int) -> str:
    return work.flaky(failures)


@task(name="wait", autoretry_for=(Exception,), max_retries=2, default_retry_delay=0, acks_late=True)
def wait() -> None:
    work.wait()


@task(name="gate")
def gate(path: str) -> str:
    return work.gate(path)


@task(name="die")
def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@task(name="slow", time_limit=1)
def slow() -> None:
    work.hang()


@task(name="soft", soft_time_limit=0.5)
def soft() -> None:
    work.hang()


@task(name="giant")
def giant() -> str:
    return "x" * 300_000


@task(name="ignored")
def ignored() -> None:
    raise Ignore


@task(name="rejected", acks_late=True)
def rejected(requeue: bool) -> str:
    if current_job().attempt == 1:
        raise Reject("No paint today.", requeue=requeue)
    return "came back"


@task(name="mirrored", bind=True)
def mirrored(self: Any) -> None:
    self.update_state(state="PROGRESS", meta={"current": 1, "total": 4})

"""The demo's tasks as Dramatiq has them, one for each kind of job: the nodes queue them, and the worker runs them.

Here is all that makes jobs of them: ``ReportJobs`` on the broker, and ``current_job()`` in the task.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import dramatiq
from dramatiq.brokers.redis import MAINTENANCE_SCALE, RedisBroker

from gateway.demo import writer
from gateway.demo.scenarios import SCENARIOS, DemoStep, Scenario, step_s
from gateway.exceptions import Unavailable
from gateway.logs.log import Log
from gateway.settings.settings import Settings
from publisher import JobCancelled, JobHandle, Publisher, PublisherError, current_job, job_headers
from publisher.integrations.dramatiq import ReportJobs
from publisher.keys import demo_queue
from publisher.redis import connect
from publisher.redis.errors import ERRORS

log = Log("gateway.demo")

QUEUE: Final = "jobs"
BEGIN_MS: Final = 1000
"""Real queues have a wait too: long enough to see a job pending."""
MAX_WAITING: Final = 100
LEASE_S: Final = 3.0
GONE_MS: Final = 8000
"""What a killed worker had runs again after so long: its viewers have seen by then that it waits."""
REDIS_S: Final = 2.0

stopping: Final = threading.Event()
"""Set when the worker is to end."""


class Stopped(Exception):
    """The worker was stopped before the job was done."""


class DemoFailure(Exception):
    """The demo failed because it was asked to."""


class DemoBroker(RedisBroker):
    """Dramatiq's broker with the demo's tasks; ``more`` is middleware that hears of the end of a job, ``publisher``
    what the worker writes answers with."""

    def __init__(self, settings: Settings, *more: dramatiq.Middleware, publisher: Publisher | None = None) -> None:
        url, prefix = settings.redis_url, settings.redis_prefix
        super().__init__(  # type: ignore[no-untyped-call]
            client=connect.blocking(url, timeout_s=REDIS_S),
            namespace=demo_queue(prefix),
            middleware=[*more],
            heartbeat_timeout=GONE_MS,
            maintenance_chance=MAINTENANCE_SCALE,
        )
        self.add_middleware(ReportJobs(url, prefix=prefix, lease_s=LEASE_S, on_worker_lost="wait"))
        self._actors = {
            kind: dramatiq.actor(broker=self, actor_name=kind, queue_name=QUEUE)(partial(work, kind))
            for kind in SCENARIOS
        }
        self._answer = dramatiq.actor(broker=self, actor_name="answer", queue_name=QUEUE)(partial(answer, publisher))

    def put(self, kind: str, owner: str | None, meta: dict[str, Any]) -> str:
        """Queue a job; its id. Raises :class:`Unavailable` while 100 wait, or Redis is away."""
        message = self._actors[kind].message_with_options(args=(meta,), **job_headers(owner=owner, meta=meta))
        message = message.copy(message_id=f"{kind}-{secrets.token_hex(5)}")
        self._enqueue(message, BEGIN_MS)
        return str(message.message_id)

    def put_answer(self, chat: str, owner: str, job_id: str, question: str) -> None:
        """Queue the writing of an answer that was registered. Raises as :meth:`put` does."""
        given = {"chat": chat, "owner": owner, "job_id": job_id, "question": question}
        self._enqueue(self._answer.message(given), None)

    def _enqueue(self, message: dramatiq.Message[Any], delay: int | None) -> None:
        try:
            if self._waiting() >= MAX_WAITING:
                raise Unavailable("The demo worker has more to do than it can; try again in a minute.")
            self.enqueue(message, delay=delay)
        except ERRORS:
            raise Unavailable("The demo's queue cannot be reached; try again in a moment.") from None

    def _waiting(self) -> int:
        """Those that are at work count too."""
        return sum(self.client.hlen(f"{self.namespace}:{queue}.msgs") for queue in (QUEUE, f"{QUEUE}.DQ"))


def work(kind: str, meta: Mapping[str, Any]) -> None:
    """What a task does: as if it did something, step by step."""
    job = current_job()
    try:
        scenario = SCENARIOS[kind]
        for step in scenario.steps():
            if stopping.wait(step_s(meta)):
                raise Stopped("The demo was stopped.")
            job.raise_if_cancelled()
            _report(job, step, scenario)
            if meta.get("fail") and 2 * step.number > step.total:
                raise DemoFailure("This job was asked to fail halfway, and it did.")
        job.complete(scenario.result(job.job_id, meta))
    except (JobCancelled, Stopped, DemoFailure) as error:
        log.info("demo.job_ended", job=job.job_id, reason=error)
        raise
    except Exception:
        log.exception("demo.job_broke", job=job.job_id)
        raise


def answer(publisher: Publisher | None, given: dict[str, Any]) -> None:
    """Write an answer of the chat, as a task."""
    assert publisher is not None, "The worker has one."
    try:
        writer.write(publisher, given, stopping.wait)
    except (PublisherError, writer.DemoFailedAnswer) as error:
        log.info("demo.job_ended", job=given["job_id"], reason=error)
        raise
    except Exception:
        log.exception("demo.job_broke", job=given["job_id"])
        raise


def _report(job: JobHandle, step: DemoStep, scenario: Scenario) -> None:
    if step.filename:
        status = "completed" if step.file_progress == 100 else "processing"
        job.item(
            step.filename,
            filename=step.filename,
            status=status,
            progress=step.file_progress,
            message=step.message,
        )
    # 100 belongs to the end: pages take it for done.
    percent = min(99, round(100 * step.number / step.total))
    message = f"{step.message} {step.filename}".strip()
    if scenario.files:
        of_files = -(-step.number * len(scenario.files) // step.total)
        job.progress(percent, stage=step.stage, message=message, current=of_files, total=len(scenario.files))
    else:
        job.progress(percent, stage=step.stage, message=message, current=step.number, total=step.total)

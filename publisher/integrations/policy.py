"""How an integration reports: what it was told, and the words and log lines that follow from it. No I/O."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final, Self, TypedDict

from publisher.core import given, steps
from publisher.core.given import OnWorkerLost
from publisher.core.lease import LEASE_S, Lease
from publisher.core.reason import reason
from publisher.exceptions import JobError, JobFinished
from publisher.integrations import rules
from publisher.integrations.rules import TaskOrder, log

PROGRESS_S: Final = 0.1
"""Progress that comes closer together is merged."""
REST_S: Final = 5.0
"""After Redis did not take a pending job, queueing does not wait for it again for so long."""


class ReportOptions(TypedDict, total=False):
    """What every integration takes: ``prefix`` of all keys (``"sse"``), ``lease_s`` (30) and ``on_worker_lost``
    (``"fail"``) as ``Publisher.job()`` does, ``tracebacks`` (False): whether browsers get them with a failure."""

    prefix: str
    lease_s: float | None
    on_worker_lost: OnWorkerLost
    tracebacks: bool


@dataclass(frozen=True, slots=True)
class Policy:
    """Checked options."""

    prefix: str = "sse"
    lease_s: float | None = LEASE_S
    on_worker_lost: OnWorkerLost = "fail"
    tracebacks: bool = False

    @classmethod
    def of(cls, options: ReportOptions) -> Self:
        """Raises ``TypeError`` for an option that there is not, ``ValueError`` for one that makes no sense."""
        given.check(options, ReportOptions, "The integration")
        found = cls(**options)
        Lease.new(found.lease_s, found.on_worker_lost)
        return found

    def opening(self, order: TaskOrder, *, last_try: bool) -> dict[str, Any]:
        """How a worker takes a task's job up, and no other one of its id. The queue does not run a task again whose
        last try it is."""
        return {
            "kind": order.kind,
            "owner": order.owner,
            "meta": order.meta,
            "adopt": not order.kind_given,
            "lease_s": self.lease_s,
            "on_worker_lost": "fail" if last_try else self.on_worker_lost,
            "progress_interval_s": PROGRESS_S,
        }

    def failure(self, error: BaseException) -> dict[str, Any]:
        """What a failed job says."""
        return {"message": reason(error), **rules.failure(error, tracebacks=self.tracebacks)}


class Rest:
    """Whether queueing waits for Redis at all: not so soon after it waited in vain."""

    def __init__(self) -> None:
        self._until = 0.0

    @property
    def on(self) -> bool:
        return time.monotonic() < self._until

    def refused(self, order: TaskOrder, error: Exception) -> None:
        """The job of a task that is being queued could not be registered."""
        if isinstance(error, JobError):
            log.warning("Job %s is not registered anew: %s", order.job_id, error)
            return
        if not isinstance(error, ValueError):  # else it is this job that is wrong, and not Redis
            self._until = time.monotonic() + REST_S
        unregistered(order, error)


def lost(error: BaseException | None) -> dict[str, Any]:
    """What a job says whose worker was ended from outside: with the queue's own reason, else without a word."""
    if error is None:
        return {"message": steps.LOST_MESSAGE, "code": steps.LOST_CODE}
    return {"message": reason(error), "code": type(error).__name__}


def unregistered(order: TaskOrder, error: Exception) -> None:
    """A task is queued whose job is not there before a worker makes it."""
    log.warning("Job %s could not be registered before its worker has it: %s", order.job_id, error)


def unreported(order: TaskOrder, error: Exception) -> None:
    """A task runs without its job."""
    if isinstance(error, JobFinished):
        log.warning("This run of task %s is not reported: the job is %s.", order.job_id, error.status)
    else:
        log.error("Task %s is not reported: %s", order.job_id, error)


def foreign(order: TaskOrder) -> None:
    """A task has ended that had the id of somebody else's job."""
    log.warning("The end of task %s is not reported: the job of this id is of another kind or owner.", order.job_id)


def reported_already(what: object) -> None:
    """``report()`` was called once more."""
    log.warning("%r is reported already; what another report() says does not count.", what)


def left_out(job_id: str, error: Exception) -> None:
    """A result that is no JSON, or too much of it."""
    log.warning("The result of job %s is left out: %s", job_id, error)


def end_lost(job_id: str, error: Exception) -> None:
    log.error("The end of job %s could not be reported: %s", job_id, error)

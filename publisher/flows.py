"""What is asked of Redis in which order: generators that yield requests and get replies. No I/O.

The blocking and the asyncio publisher drive the same flows. A flow that was cut off by an error may be started
again with the same entries: they carry their unique ids, so nothing is appended twice.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeAlias, TypeVar

from publisher import calls, channels, steps
from publisher import job as jobs
from publisher.calls import Answer, ReadState, Request, Step
from publisher.exceptions import JobExists, JobNotFound, finished
from publisher.options import Options
from publisher.record import Entry, JobRecord

T = TypeVar("T")
Flow: TypeAlias = Generator[Request, Any, T]

MAX_TURNS = 4
"""A job that vanishes or changes hands this often within one step is somebody else's problem."""


def perform(options: Options, entry: Entry) -> Flow[Answer]:
    """Send one event or step; in Cluster also the owner's half."""
    again = entry.tried
    call = entry.call(options)
    entry.tried = True
    answer = calls.read((yield call))
    if isinstance(entry, Step):
        yield from _tell_owner(options, entry, answer, again)
    return answer


def _tell_owner(options: Options, step: Step, answer: Answer, again: bool) -> Flow[None]:
    for call in calls.owner_calls(options, step, answer.told, retry=again):
        calls.read((yield call))


def deliver(options: Options, record: JobRecord | None, entry: Entry) -> Flow[Answer]:
    """Send what a job's worker reports; create the job anew first where it has vanished from Redis."""
    if record is None:
        return (yield from perform(options, entry))
    answer = Answer("missing")
    for _ in range(MAX_TURNS):
        if record.revival is not None:
            yield from perform(options, record.revival)
            record.revival = None
        answer = yield from perform(options, entry)
        if answer.verdict != "missing" or not record.opened:
            break
        record.revive()
    return answer


def create_job(options: Options, step: Step) -> Flow[jobs.Job]:
    """Register a job and return it. Raises :class:`JobExists`."""
    answer = yield from perform(options, step)
    if answer.verdict != "ok":
        raise JobExists(step.job_id, f"There is a job {step.job_id} already; use another id, or job() to attach to it.")
    return (yield from _read_back(options, step.job_id, step.owner))


def get_job(options: Options, job_id: str) -> Flow[jobs.Job | None]:
    """A job's newest state, or None."""
    state = yield ReadState(_state_key(options, job_id))
    return jobs.from_state(state)


def status_of(options: Options, job_id: str) -> ReadState:
    """The request for a job's status alone."""
    return ReadState(_state_key(options, job_id), "status")


def cancel_job(options: Options, job_id: str) -> Flow[jobs.Job]:
    """Cancel a job and return it; one that is cancelled already is returned as it is.

    Raises :class:`JobNotFound`, and :class:`JobFinished` for one that completed or failed.
    """
    job = yield from _existing(options, job_id)
    if job.status == "cancelled":
        return job
    owner = yield from _apply(options, steps.cancel(job_id, job.owner))
    return (yield from _read_back(options, job_id, owner))


def update_job(options: Options, job_id: str, changes: dict[str, Any]) -> Flow[jobs.Job]:
    """Bring a job to where ``changes`` say it is. Raises ``ValueError`` before anything is sent, and
    :class:`JobNotFound` or :class:`JobFinished`."""
    steps.update(options, job_id, None, pending=True, **changes)
    job = yield from _existing(options, job_id)
    owner = job.owner
    for step in steps.update(options, job_id, owner, pending=job.status == "pending", **changes):
        step.owner = owner
        owner = yield from _apply(options, step)
    if job.finished:
        raise finished(job_id, job.status)
    return (yield from _read_back(options, job_id, owner))


def _apply(options: Options, step: Step) -> Flow[str | None]:
    """Send a step of somebody who is not the worker; return the job's owner."""
    for _ in range(MAX_TURNS):
        answer = yield from perform(options, step)
        if answer.verdict == "ok":
            return step.owner
        if answer.verdict == "finished":
            raise finished(step.job_id, answer.detail or "finished")
        if answer.verdict != "owner":
            break
        step.owner = answer.detail
    raise JobNotFound(step.job_id)


def _existing(options: Options, job_id: str) -> Flow[jobs.Job]:
    job = yield from get_job(options, job_id)
    if job is None:
        raise JobNotFound(job_id)
    return job


def _read_back(options: Options, job_id: str, owner: str | None) -> Flow[jobs.Job]:
    job = yield from get_job(options, job_id)
    return job if job is not None else jobs.Job(job_id, "", owner)


def _state_key(options: Options, job_id: str) -> str:
    return calls.target(options.prefix, channels.job_channel(job_id)).keys[-1]


def changes(
    status: str | None,
    progress: float | None,
    message: str | None,
    stage: str | None,
    current: float | None,
    total: float | None,
    item: dict[str, Any] | None,
    result: object,
    error: str | dict[str, Any] | None,
) -> dict[str, Any]:
    """The arguments of ``update_job`` as one value."""
    return {
        "status": status,
        "progress": progress,
        "message": message,
        "stage": stage,
        "current": current,
        "total": total,
        "item": item,
        "result": result,
        "error": error,
    }

"""What is asked of Redis in which order: generators that yield requests and get replies. No I/O.

The blocking and the asyncio publisher drive the same flows; an error of a request is raised where it was yielded. A
flow that was cut off by an error may be started again with the same entries: they carry their unique ids, so nothing
is appended twice.
"""

from __future__ import annotations

import time
from typing import Any

from publisher import channels, jsontext
from publisher import job as jobs
from publisher.core import drafts, job_update, parts, steps
from publisher.core.answer_flows import write
from publisher.core.answer_step import AnswerStep
from publisher.core.given import JobChanges
from publisher.core.options import Options
from publisher.core.perform import MAX_TURNS, Flow, perform
from publisher.core.pieces import MAX_ANSWER_BYTES
from publisher.core.record import Entry, JobRecord
from publisher.core.replies import Outcome
from publisher.core.requests import ReadCommand, ReadJob
from publisher.core.step import Step
from publisher.exceptions import AnswerTooLong, JobExists, JobNotFound, finished
from publisher.keys import answer_key


def deliver(options: Options, record: JobRecord | None, entry: Entry) -> Flow[Outcome]:
    """Send what a job's worker reports; create the job anew first where it has vanished from Redis."""
    if record is None:
        return (yield from perform(options, entry))
    outcome = Outcome("missing")
    for _ in range(MAX_TURNS):
        if record.revival is not None:
            yield from perform(options, record.revival)
            record.revival = None
        if isinstance(entry, AnswerStep):
            outcome = yield from write(options, record, entry)
        elif isinstance(entry, Step) and entry.ends and not (yield from _is_whole(options, record)):
            outcome = Outcome("missing")
        else:
            outcome = yield from perform(options, entry)
        if isinstance(entry, Step) and entry.adopt(outcome):
            continue
        if outcome.verdict != "missing" or not record.opened:
            break
        record.revive()
    return outcome


def _is_whole(options: Options, record: JobRecord) -> Flow[bool]:
    """Whether an answer may end: with all that was written of it, also what Redis has lost. False where it is gone."""
    written = record.written
    if written is None or written.base is None or record.full:
        return True
    there = yield from write(options, record, AnswerStep(record.job_id, [], written.size, written, record.owner))
    return there.verdict != "missing"


def create_job(options: Options, step: Step) -> Flow[jobs.Job]:
    """Register a job and return it; one of the same kind and owner that is there already is returned as it is.

    Raises :class:`JobExists` for another one.
    """
    outcome = yield from perform(options, step)
    if outcome.verdict == "ok":
        created = jobs.from_event(outcome.told[0].data) if outcome.told else None
        return created or (yield from _read_back(options, step.job_id, step.owner))
    # A worker may have been quicker than whoever queued the task.
    job = yield from find_job(options, step.job_id)
    if job is None or job.owner != step.owner or jsontext.dump(job.kind) != step.changes["kind"]:
        raise JobExists(step.job_id, f"There is a job {step.job_id} of another kind or owner; use another id.")
    if step.chat and job.chat != step.chat:
        raise JobExists(step.job_id, f"The job {step.job_id} is no answer of this chat; use another id.")
    return job


def get_job(options: Options, job_id: str) -> Flow[jobs.Job | None]:
    """A job's newest state, or None; of an answer also its text and parts. Whoever looks at a job also notices that its
    worker was lost."""
    job = yield from find_job(options, job_id)
    if job is None or job.kind != channels.ANSWER:
        return job
    key = answer_key(options.prefix, channels.job_channel(job_id))
    return jobs.with_answer(job, (yield ReadCommand(("GET", key))) or b"")


def find_job(options: Options, job_id: str) -> Flow[jobs.Job | None]:
    """Like :func:`get_job`, without the text and parts of an answer, which may be long."""
    job_id = channels.check_job_id(job_id)
    state = yield ReadJob(_state_key(options, job_id))
    job = jobs.from_state(state)
    if job is not None and job.may_be_lost(time.time()):
        yield from expire_job(options, job_id, job.owner)
        job = jobs.from_state((yield ReadJob(_state_key(options, job_id))))
    return job


def create_answer(options: Options, step: Step) -> Flow[str]:
    """Register an answer and return its job id; one of the same chat that is there already stays as it is.

    Raises :class:`JobExists` for any other job.
    """
    yield from create_job(options, step)
    return step.job_id


def expire_job(options: Options, job_id: str, owner: str | None) -> Flow[int]:
    """Let an active job end, or be tried again, if its worker's lease ran out. Returns after how many milliseconds it
    is to be looked at again; -1: not at all."""
    step = steps.expire(job_id, owner)
    for _ in range(MAX_TURNS):
        outcome = yield from perform(options, step)
        if outcome.verdict != "owner":
            break
        step.owner = outcome.detail
    return outcome.left_ms


def stands(options: Options, job_id: str) -> ReadJob:
    """The request for a job's status and whether it is paused."""
    return ReadJob(_state_key(options, job_id), ("status", "paused"))


def pause_job(options: Options, job_id: str, *, paused: bool) -> Flow[jobs.Job]:
    """Pause or resume a job and return it; one that is so already is returned as it is.

    Raises :class:`JobNotFound` and :class:`JobFinished`.
    """
    job_id = channels.check_job_id(job_id)
    job = yield from _existing(options, job_id)
    if job.finished:
        raise finished(job_id, job.status)
    step = steps.pause(job_id, job.owner) if paused else steps.resume(job_id, job.owner)
    owner = yield from _apply(options, step)
    return (yield from _read_back(options, job_id, owner))


def cancel_job(options: Options, job_id: str) -> Flow[jobs.Job]:
    """Cancel a job and return it; one that is cancelled already is returned as it is.

    Raises :class:`JobNotFound`, and :class:`JobFinished` for one that completed or failed.
    """
    job_id = channels.check_job_id(job_id)
    job = yield from _existing(options, job_id)
    if job.status == "cancelled":
        return job
    owner = yield from _apply(options, steps.cancel(job_id, job.owner))
    return (yield from _read_back(options, job_id, owner))


def update_job(options: Options, job_id: str, changes: JobChanges) -> Flow[jobs.Job]:
    """Bring a job to where ``changes`` say it is. Raises ``ValueError`` before anything is sent, and
    :class:`JobNotFound` or :class:`JobFinished`."""
    job_id = channels.check_job_id(job_id)
    job_update.update(options, job_id, None, pending=True, **changes)
    job = yield from _existing(options, job_id)
    owner = job.owner
    if (part := changes.get("part")) is not None and part["type"] in parts.NEEDS:
        yield from _check_call(options, job_id, part)
    for step in job_update.update(options, job_id, owner, pending=job.status == "pending", **changes):
        step.owner = owner
        owner = yield from _apply(options, step)
    if job.finished:
        raise finished(job_id, job.status)
    return (yield from _read_back(options, job_id, owner))


def _check_call(options: Options, job_id: str, part: dict[str, Any]) -> Flow[None]:
    """Refuse what belongs to a tool call that has not begun: a client would take the whole answer for broken."""
    lacks = (yield from tool_calls(options, job_id)).lacks(part)
    if lacks is not None:
        raise ValueError(lacks)


def tool_calls(options: Options, job_id: str) -> Flow[parts.ToolCalls]:
    """The tool calls that have begun in an answer, whoever wrote them."""
    job = yield from get_job(options, job_id)
    calls = parts.ToolCalls()
    for known in (job.parts if job else None) or []:
        calls.note(known)
    return calls


def _apply(options: Options, step: Step | AnswerStep) -> Flow[str | None]:
    """Send a step of somebody who is not the worker; return the job's owner."""
    for _ in range(MAX_TURNS):
        if isinstance(step, AnswerStep):
            outcome = yield from write(options, None, step)
        else:
            outcome = yield from perform(options, step)
        if outcome.verdict == "ok":
            return step.owner
        if outcome.verdict == "long":
            raise AnswerTooLong(outcome.there, MAX_ANSWER_BYTES)
        if outcome.verdict == "kind":
            raise ValueError(f"The job {step.job_id} is no answer: text, reasoning and part need one of kind answer.")
        if outcome.verdict == "held":
            raise JobExists(step.job_id, f"The answer {step.job_id} is being written by another worker.")
        if outcome.verdict == "finished":
            raise finished(step.job_id, outcome.detail or "finished")
        if outcome.verdict != "owner":
            break
        step.owner = outcome.detail
    raise JobNotFound(step.job_id)


def _existing(options: Options, job_id: str) -> Flow[jobs.Job]:
    job = yield from find_job(options, job_id)
    if job is None:
        raise JobNotFound(job_id)
    return job


def _read_back(options: Options, job_id: str, owner: str | None) -> Flow[jobs.Job]:
    job = yield from find_job(options, job_id)
    return job if job is not None else jobs.Job(job_id, "", owner)


def _state_key(options: Options, job_id: str) -> str:
    return drafts.destination(options.prefix, channels.job_channel(job_id), options.db).keys[-1]

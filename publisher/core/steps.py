"""The steps in a job's life, built from what a caller gives: a new step of a job begins here, once for both sides.

Every function checks its arguments first: bad ones are ``ValueError`` (:class:`EventTooLarge` among them) before
anything is sent. The handles of both sides send what is made here; the script ``job.lua`` applies it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Unpack

from publisher import channels, jsontext
from publisher.core import given
from publisher.core.drafts import Draft, draft
from publisher.core.given import ItemFields, JobOptions, ProgressFields
from publisher.core.identity import new_job_id, new_uid
from publisher.core.lease import LEASE_S, Lease
from publisher.core.options import Options
from publisher.core.reason import reason
from publisher.core.step import Step
from publisher.exceptions import EventTooLarge

SUPERSEDED_MESSAGE: Final = "A newer answer of the chat has taken its place."
SUPERSEDED_CODE: Final = "superseded"
LOST_MESSAGE: Final = "The worker stopped without a word."
LOST_CODE: Final = "worker_lost"
_LOST: Final = {
    "message": jsontext.dump(LOST_MESSAGE),
    "error": jsontext.dump({"message": LOST_MESSAGE, "code": LOST_CODE, "details": None}),
}


def create(options: Options, job_id: str, kind: str, owner: str | None, meta: dict[str, Any] | None) -> Step:
    """Register a job that no worker has yet."""
    return _birth(options, "create", job_id, kind, owner, meta)


def open_(
    options: Options,
    job_id: str,
    kind: str | None,
    owner: str | None,
    meta: dict[str, Any] | None,
    **held: Unpack[JobOptions],
) -> Step:
    """Start the job where it is pending; create it where it is missing, if its kind is given."""
    given.check(held, JobOptions, "job()")
    if kind is not None:
        step = _birth(options, "open", job_id, kind, owner, meta)
        step.adopts = ("kind",) if held.get("adopt") else ()
    elif owner is None and meta is None:
        step = Step("open", channels.check_job_id(job_id), adopts=("owner",))
    else:
        raise ValueError("A job that may have to be created needs a kind; leave owner and meta out to take one up.")
    step.lease = Lease.new(held.get("lease_s", LEASE_S), held.get("on_worker_lost", "fail"))
    return step


def create_answer(options: Options, chat_id: str, owner: str, job_id: str | None, meta: dict[str, Any] | None) -> Step:
    """Register an answer that no worker has yet."""
    return _answer(options, "create", chat_id, owner, job_id, meta)


def open_answer(
    options: Options,
    chat_id: str,
    owner: str,
    job_id: str | None,
    meta: dict[str, Any] | None,
    **held: Unpack[JobOptions],
) -> Step:
    """Start an answer; create it where it is missing."""
    given.check(held, JobOptions, "answer()")
    step = _answer(options, "open", chat_id, owner, job_id, meta)
    step.lease = Lease.new(held.get("lease_s", LEASE_S), held.get("on_worker_lost", "fail"))
    step.worker = step.lease.worker if step.lease else new_uid()
    return step


def _answer(
    options: Options, op: str, chat_id: str, owner: str, job_id: str | None, meta: dict[str, Any] | None
) -> Step:
    chat = channels.check_id(chat_id, "chat id")
    if owner is None:
        raise ValueError("A chat belongs to its owner: give owner, the user whose chat it is.")
    step = _birth(options, op, new_job_id() if job_id is None else job_id, channels.ANSWER, owner, meta)
    step.changes["chat"] = jsontext.dump(chat)
    step.chat = chat
    return step


def supersede(job_id: str, owner: str | None) -> Step:
    """Cancel an answer because its chat has a newer one."""
    error = jsontext.dump({"message": SUPERSEDED_MESSAGE, "code": SUPERSEDED_CODE, "details": None})
    return Step("cancel", job_id, owner, {"error": error})


def start(job_id: str, owner: str | None) -> Step:
    """Start a job that is known to exist."""
    return Step("open", job_id, owner)


def _birth(options: Options, op: str, job_id: str, kind: str, owner: str | None, meta: dict[str, Any] | None) -> Step:
    job_id = channels.check_job_id(job_id)
    changes = {"kind": jsontext.dump(channels.check_id(kind, "job kind"))}
    if owner is not None:
        owner = channels.check_id(owner, "owner")
    if meta is not None:
        changes["meta"] = jsontext.mapping(meta, "meta")
    return sized(options, Step(op, job_id, owner, changes))


def progress(
    options: Options,
    job_id: str,
    owner: str | None,
    value: float | None = None,
    **fields: Unpack[ProgressFields],
) -> Step:
    """Change how far the job is; what is None stays as it was."""
    given.check(fields, ProgressFields, "progress()")
    changes = life(value, fields)
    if not changes:
        raise ValueError("progress() needs at least one of: value, message, stage, current, total.")
    return sized(options, Step("progress", job_id, owner, changes))


def life(value: float | None, fields: Mapping[str, object]) -> dict[str, bytes]:
    """How far a job is, as state fields."""
    changes: dict[str, bytes] = {}
    if value is not None:
        changes["progress"] = jsontext.number(value, "progress", 0, 100)
    for name in ("message", "stage"):
        if (words := fields.get(name)) is not None:
            changes[name] = jsontext.text(words, name)
    for name in ("current", "total"):
        if (count := fields.get(name)) is not None:
            changes[name] = jsontext.number(count, name)
    return changes


def item(options: Options, job_id: str, owner: str | None, item_id: str, **fields: Unpack[ItemFields]) -> Step:
    """Change one of the job's files; what is None stays as it was."""
    given.check(fields, ItemFields, "item()")
    item_id = channels.check_item_id(item_id)
    changes: dict[str, bytes] = {}
    for name, value in fields.items():
        if value is not None and name != "progress":
            changes[name] = jsontext.text(value, f"an item's {name}")
    if (progress := fields.get("progress")) is not None:
        changes["progress"] = jsontext.number(progress, "an item's progress", 0, 100)
    return sized(options, Step("item", job_id, owner, changes, item_id))


def complete(options: Options, job_id: str, owner: str | None, result: object = None) -> Step:
    """End the job well."""
    return sized(options, Step("complete", job_id, owner, {"result": jsontext.dump(result, "result")}))


def fail(
    options: Options, job_id: str, owner: str | None, message: str, code: str | None = None, details: object = None
) -> Step:
    """End the job badly."""
    jsontext.text(message, "the error's message")
    if code is not None:
        jsontext.text(code, "the error's code")
    error = jsontext.dump({"message": message, "code": code, "details": details}, "error")
    return sized(options, Step("fail", job_id, owner, {"error": error}))


def failure(options: Options, job_id: str, owner: str | None, error: BaseException) -> Step:
    """End the job with what was raised. Whatever that is, there is a step: else the job would never end."""
    code = type(error).__name__
    try:
        return fail(options, job_id, owner, reason(error), code)
    except EventTooLarge:
        told = {"message": code, "code": code, "details": None}
        return Step("fail", job_id, owner, {"error": jsontext.dump(told)})


def cancel(job_id: str, owner: str | None) -> Step:
    """End the job because somebody no longer wants it."""
    return Step("cancel", job_id, owner)


def retrying(options: Options, job_id: str, owner: str | None, message: str) -> Step:
    """Leave the job without ending it: it will be tried again."""
    return sized(options, Step("retry", job_id, owner, {"message": jsontext.text(message, "message")}))


def pause(job_id: str, owner: str | None) -> Step:
    """Ask the worker to wait."""
    return Step("pause", job_id, owner)


def resume(job_id: str, owner: str | None) -> Step:
    """Let a worker that waits go on."""
    return Step("resume", job_id, owner)


def expire(job_id: str, owner: str | None) -> Step:
    """Fail a job whose worker was lost, or let it be tried again; does nothing where its lease still runs."""
    return Step("expire", job_id, owner, dict(_LOST))


def log(options: Options, job_id: str, text: str, level: str) -> Draft:
    """A line of the worker's log for whoever watches the job."""
    if level not in channels.LOG_LEVELS:
        raise ValueError(f"level must be one of {', '.join(channels.LOG_LEVELS)}, not {level!r}.")
    if not isinstance(text, str):
        raise ValueError(f"A log line must be text, not {type(text).__name__}.")
    data = jsontext.dump({"job_id": job_id, "text": text, "level": level})
    jsontext.check_size(len(data), options.max_event_bytes)
    return Draft(channels.job_channel(job_id), channels.LOG, data, must_exist=True)


def emit(options: Options, job_id: str, type: str, data: object) -> Draft:
    """An event of the worker's own on the job's channel; refused by Redis where the job is missing."""
    event = draft(options, channels.job_channel(job_id), type, data)
    event.must_exist = True
    return event


def sized(options: Options, step: Step) -> Step:
    """The step, if it is not too large. Raises :class:`EventTooLarge`."""
    jsontext.check_size(sum(map(len, step.changes.values())), options.max_event_bytes)
    return step

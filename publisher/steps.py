"""The steps in a job's life, built from what a caller gives. Every function checks its arguments first:
bad ones are ``ValueError`` (:class:`EventTooLarge` among them) before anything is sent.
"""

from __future__ import annotations

from typing import Any

from publisher import channels, jsontext
from publisher.calls import Draft, Step, draft
from publisher.options import Options


def create(options: Options, job_id: str, kind: str, owner: str | None, meta: dict[str, Any] | None) -> Step:
    """Register a job that no worker has yet."""
    return _birth(options, "create", job_id, kind, owner, meta)


def open_(options: Options, job_id: str, kind: str, owner: str | None, meta: dict[str, Any] | None) -> Step:
    """Create the job where it is missing, start it where it is pending."""
    return _birth(options, "open", job_id, kind, owner, meta)


def start(job_id: str, owner: str | None) -> Step:
    """Start a job that is known to exist."""
    return Step("open", job_id, owner)


def _birth(options: Options, op: str, job_id: str, kind: str, owner: str | None, meta: dict[str, Any] | None) -> Step:
    channels.check_id(job_id, "job id")
    changes = {"kind": jsontext.dump(channels.check_id(kind, "job kind"))}
    if owner is not None:
        channels.check_id(owner, "owner")
    if meta is not None:
        changes["meta"] = jsontext.mapping(meta, "meta")
    return _sized(options, Step(op, job_id, owner, changes))


def progress(
    options: Options,
    job_id: str,
    owner: str | None,
    value: float | None = None,
    *,
    message: str | None = None,
    stage: str | None = None,
    current: float | None = None,
    total: float | None = None,
) -> Step:
    """Change how far the job is; what is None stays as it was."""
    changes = _life(value, message, stage, current, total)
    if not changes:
        raise ValueError("progress() needs at least one of: value, message, stage, current, total.")
    return _sized(options, Step("progress", job_id, owner, changes))


def _life(
    value: float | None, message: str | None, stage: str | None, current: float | None, total: float | None
) -> dict[str, bytes]:
    changes: dict[str, bytes] = {}
    if value is not None:
        changes["progress"] = jsontext.number(value, "progress", 0, 100)
    for name, words in (("message", message), ("stage", stage)):
        if words is not None:
            changes[name] = jsontext.text(words, name)
    for name, count in (("current", current), ("total", total)):
        if count is not None:
            changes[name] = jsontext.number(count, name)
    return changes


def item(
    options: Options,
    job_id: str,
    owner: str | None,
    item_id: str,
    *,
    filename: str | None = None,
    status: str | None = None,
    progress: float | None = None,
    message: str | None = None,
) -> Step:
    """Change one of the job's files; what is None stays as it was."""
    channels.check_id(item_id, "item id")
    changes: dict[str, bytes] = {}
    for name, words in (("filename", filename), ("status", status), ("message", message)):
        if words is not None:
            changes[name] = jsontext.text(words, f"an item's {name}")
    if progress is not None:
        changes["progress"] = jsontext.number(progress, "an item's progress", 0, 100)
    return _sized(options, Step("item", job_id, owner, changes, item_id))


def complete(options: Options, job_id: str, owner: str | None, result: object = None) -> Step:
    """End the job well."""
    return _sized(options, Step("complete", job_id, owner, {"result": jsontext.dump(result, "result")}))


def fail(
    options: Options, job_id: str, owner: str | None, message: str, code: str | None = None, details: object = None
) -> Step:
    """End the job badly."""
    jsontext.text(message, "the error's message")
    if code is not None:
        jsontext.text(code, "the error's code")
    error = jsontext.dump({"message": message, "code": code, "details": details}, "error")
    return _sized(options, Step("fail", job_id, owner, {"error": error}))


def cancel(job_id: str, owner: str | None) -> Step:
    """End the job because somebody no longer wants it."""
    return Step("cancel", job_id, owner)


def emit(options: Options, job_id: str, type: str, data: object) -> Draft:
    """An event of the worker's own on the job's channel; refused by Redis where the job is missing."""
    event = draft(options, channels.job_channel(job_id), type, data)
    event.must_exist = True
    return event


def update(
    options: Options,
    job_id: str,
    owner: str | None,
    *,
    pending: bool,
    status: str | None = None,
    progress: float | None = None,
    message: str | None = None,
    stage: str | None = None,
    current: float | None = None,
    total: float | None = None,
    item: dict[str, Any] | None = None,
    result: object = None,
    error: str | dict[str, Any] | None = None,
) -> list[Step]:
    """The steps that bring a job to where the caller says it is; ``pending`` is whether it still has to start."""
    channels.check_id(job_id, "job id")
    life = _life(progress, message, stage, current, total)
    end = _end(options, job_id, owner, status, result, error)
    steps: list[Step] = []
    if pending and (status == "active" or life or item is not None) and end is None:
        steps.append(start(job_id, owner))
    if item is not None:
        steps.append(_item_from(options, job_id, owner, item))
    if end is not None:
        end.changes = {**life, **end.changes}
        steps.append(_sized(options, end))
    elif life:
        steps.append(_sized(options, Step("progress", job_id, owner, life)))
    if not steps and status != "active":
        raise ValueError(
            "Nothing to change: give at least one of status, progress, message, stage, current, total, item, "
            "result, error."
        )
    return steps


def _end(
    options: Options, job_id: str, owner: str | None, status: str | None, result: object, error: object
) -> Step | None:
    if status not in (None, "active", "completed", "failed", "cancelled"):
        raise ValueError(f"status must be active, completed, failed or cancelled, not {status!r}.")
    if result is not None and status != "completed":
        raise ValueError("A result needs status 'completed'.")
    if error is not None and status != "failed":
        raise ValueError("An error needs status 'failed'.")
    if status == "completed":
        return complete(options, job_id, owner, result)
    if status == "failed":
        return fail(options, job_id, owner, **_error_from(error))
    return cancel(job_id, owner) if status == "cancelled" else None


def _error_from(error: object) -> dict[str, Any]:
    if error is None or isinstance(error, str):
        return {"message": error or "The job failed."}
    if not isinstance(error, dict) or "message" not in error or set(error) - {"message", "code", "details"}:
        raise ValueError("error must be text, or a dict with message and perhaps code and details.")
    return error


def _item_from(options: Options, job_id: str, owner: str | None, given: object) -> Step:
    if not isinstance(given, dict) or set(given) - {"item_id", *channels.ITEM_FIELDS}:
        raise ValueError("item must be a dict with item_id and some of filename, status, progress, message.")
    fields = {name: value for name, value in given.items() if name != "item_id"}
    return item(options, job_id, owner, given.get("item_id", ""), **fields)


def _sized(options: Options, step: Step) -> Step:
    jsontext.check_size(sum(map(len, step.changes.values())), options.max_event_bytes)
    return step

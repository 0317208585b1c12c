"""Which task is a job, and which one: the rules that all queues share. No I/O."""

from __future__ import annotations

import hashlib
import logging
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from publisher import channels, jsontext
from publisher.current import KIND, MARK, META, OWNER
from publisher.job import Job

log: Final = logging.getLogger("publisher.integrations")
MAX_TRACEBACK: Final = 20_000
"""Characters of a traceback that go into a failed job; the innermost calls are kept."""


@dataclass(frozen=True, slots=True)
class TaskOrder:
    """A task that is to be a job. ``kind_given``: whoever queued it said so; else it is the function's, and a job that
    is there may be of another kind."""

    job_id: str
    kind: str
    owner: str | None
    meta: dict[str, Any] | None
    kind_given: bool = False

    def is_for(self, job: Job) -> bool:
        """Whether this job is the task's, and not another one of this id."""
        return job.owner == self.owner and (job.kind == self.kind or not self.kind_given)


def order(task_id: str, name: str, headers: object, function: object) -> TaskOrder | None:
    """The job that a task is, or None where it is nobody's business: it was queued without ``job_headers()`` and its
    function is not ``@reported``. Headers that cannot be read are a log line, never a failed task."""
    given = headers if isinstance(headers, Mapping) else {}
    found = {field: given.get(field) for field in (OWNER, KIND, META)}
    mark = getattr(function, MARK, None)
    if mark is None and not any(value is not None for value in found.values()):
        return None
    try:
        owner = None if found[OWNER] is None else channels.check_id(found[OWNER], "owner")
        kind = channels.check_id(found[KIND], "job kind") if found[KIND] is not None else mark or _kind_of(name)
        return TaskOrder(job_id_of(task_id), kind, owner, _meta(found[META]), found[KIND] is not None)
    except ValueError as error:
        log.warning("Task %.200r (%.200s) is not reported: its headers cannot be read. %s", task_id, name, error)
        return None


def job_id_of(task_id: str) -> str:
    """The id of the job that a task is: the task's own, or where no channel may be named so, one made of its hash."""
    try:
        return channels.check_job_id(task_id)
    except ValueError:
        return "task-" + hashlib.sha256(str(task_id).encode("utf-8", "replace")).hexdigest()[:32]


def failure(error: BaseException, *, tracebacks: bool) -> dict[str, Any]:
    """The code and the details that a failed job gets."""
    return {"code": type(error).__name__, "details": _traceback(error) if tracebacks else None}


def _traceback(error: BaseException) -> dict[str, str] | None:
    try:
        words = "".join(traceback.format_exception(error))[-MAX_TRACEBACK:]
    except BaseException:  # from 3.12 on it asks foreign objects what else they have
        return None
    return {"traceback": words.encode("utf-8", "replace").decode()}


def _kind_of(name: str) -> str:
    """A task's name as the kind of its job."""
    try:
        return channels.check_id(name, "job kind")
    except ValueError:
        return "task"


def _meta(text: object) -> dict[str, Any] | None:
    if text is None:
        return None
    if not isinstance(text, str):
        raise ValueError(f"{META} must be text, not {type(text).__name__}.")
    found = jsontext.load(text.encode())
    if found is not None and not isinstance(found, dict):
        raise ValueError(f"{META} must be a JSON object.")
    return found

"""The dialect ``tasks``: named events about a task and its files, numbered by ``sequence``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from starlette.requests import Request
from starlette.routing import BaseRoute

from gateway.auth.principal import Principal
from gateway.dialects import common
from gateway.fanout.encoder import Encoder
from gateway.streams.plan import Plan
from gateway.streams.route import StreamRoutes
from publisher import channels as names
from publisher.envelope import Event
from publisher.job import Job


class TasksEncoder(Encoder):
    """``task_progress`` and ``file_update``, then ``task_completed`` or ``task_failed``."""

    name: ClassVar[str] = "tasks"

    def state(self, job: Job, seq: int) -> list[bytes]:
        """The task comes first: a client that drops what is not newer by ``sequence`` keeps the more important."""
        files = [] if job.finished else job.items
        return [_task(job, seq), *[_file(item, job.job_id, seq) for item in files]]

    def event(self, event: Event) -> bytes | None:
        if event.type == names.ITEM:
            return _file_event(event)
        job = common.job_of(event)
        return None if job is None else _task(job, event.seq)


def _task(job: Job, seq: int) -> bytes:
    task = {"task_id": job.job_id, "sequence": seq}
    if job.status == "completed":
        return common.block({"job_id": job.job_id, "result": job.result, **task}, b"task_completed")
    if job.finished:
        return common.block({"error": common.reason(job), "details": common.details(job), **task}, b"task_failed")
    how_far = {
        "progress": job.progress,
        "current": job.current,
        "total": job.total,
        "total_files": job.total,
        "message": job.message,
    }
    return common.block({**how_far, **task}, b"task_progress")


def _file_event(event: Event) -> bytes | None:
    item = common.data_of(event)
    if item is None or not isinstance(item.get("item_id"), str):
        return None
    return _file(item, names.job_id_of(event.channel) or "", event.seq)


def _file(item: Mapping[str, Any], task_id: str, seq: int) -> bytes:
    fields = {
        "file_id": item["item_id"],
        "filename": item.get("filename"),
        "status": item.get("status"),
        "progress": item.get("progress"),
        "message": item.get("message"),
        "task_id": task_id,
        "sequence": seq,
    }
    return common.block(fields, b"file_update")


ENCODER: Final = TasksEncoder()


def _one_task(request: Request, caller: Principal) -> Plan:
    return Plan((names.job_channel(request.path_params["task_id"]),), ENCODER)


def routes(stream: StreamRoutes) -> list[BaseRoute]:
    return [stream("/api/v1/status/tasks/{task_id:id}/stream", _one_task, ENCODER)]

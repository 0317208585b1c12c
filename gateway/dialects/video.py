"""The dialect ``video``: named events ``status``, ``progress``, ``complete`` and ``error`` with the same fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

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

WORDS: Final[Mapping[str, bytes]] = {
    names.CREATED: b"status",
    names.STARTED: b"status",
    names.PROGRESS: b"progress",
    names.COMPLETED: b"complete",
    names.FAILED: b"error",
    names.CANCELLED: b"error",
}


class VideoEncoder(Encoder):
    """Its clients close by themselves at the last event, and count a server that is quicker as an error."""

    name: ClassVar[str] = "video"
    end_delay_s: ClassVar[float] = 0.1

    def state(self, job: Job, seq: int) -> list[bytes]:
        status = _block(b"status", job)
        if not job.finished:
            return [status]
        return [status, _block(b"complete" if job.status == "completed" else b"error", job)]

    def event(self, event: Event) -> bytes | None:
        job = common.job_of(event)
        return None if job is None else _block(WORDS[event.type], job)


def _block(word: bytes, job: Job) -> bytes:
    failure = common.reason(job) if word == b"error" else None
    fields = {
        "job_id": job.job_id,
        "status": job.status,
        "stage": job.stage or "",  # empty rather than absent: the page prints them
        "progress": job.progress,
        "message": failure or job.message or "",
        "details": job.result if job.status == "completed" else common.details(job),
    }
    return common.block(fields, word)


ENCODER: Final = VideoEncoder()


def _job(request: Request, caller: Principal) -> Plan:
    return Plan((names.job_channel(request.path_params["job_id"]),), ENCODER)


def routes(stream: StreamRoutes) -> list[BaseRoute]:
    return [stream("/jobs/{job_id:id}/stream", _job, ENCODER)]

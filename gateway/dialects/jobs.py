"""The dialect ``jobs``: unnamed events with a ``type``, for one job or for all jobs of the caller."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final

from starlette.requests import Request
from starlette.routing import BaseRoute

from gateway.auth.principal import Principal
from gateway.dialects import common
from gateway.fanout import sse
from gateway.fanout.encoder import Encoder
from gateway.streams.plan import Plan
from gateway.streams.route import StreamRoutes
from publisher import channels as names
from publisher.envelope import Event
from publisher.job import Job

KINDS: Final = ("character", "media")
"""The kinds of job that have a path of their own."""


class JobsEncoder(Encoder):
    """``connected``, then ``initial_status`` and ``job_update``, which carry the same fields."""

    name: ClassVar[str] = "jobs"
    final: ClassVar[bool] = True

    def opened(self, connection_id: str, channels: list[str], resumed: bool) -> list[bytes]:
        return [sse.json_block({"type": "connected", "message": "Connected to job updates."})]

    def state(self, job: Job, seq: int) -> list[bytes]:
        initial = _block("initial_status", job)
        # Some of its clients read updates only, and would wait for ever for a job that has ended.
        return [initial, _block("job_update", job)] if job.finished else [initial]

    def event(self, event: Event) -> bytes | None:
        job = common.job_of(event)
        return None if job is None else _block("job_update", job)

    def heartbeat(self) -> bytes:
        # No blank line: one of its clients takes every blank line for an empty message.
        return b": heartbeat\n"


def _block(type_: str, job: Job) -> bytes:
    return common.block({"type": type_, **_fields(job)})


def _fields(job: Job) -> dict[str, Any]:
    return {
        "jobId": job.job_id,
        "status": "failed" if job.status == "cancelled" else job.status,
        "progress": job.progress,
        "result": job.result,
        "failedReason": common.reason(job),
        "createdAt": common.iso(job.created_at),
        "startedAt": common.iso(job.started_at),
        "completedAt": common.iso(job.finished_at),
    }


ENCODER: Final = JobsEncoder()


def _job_of_kind(kind: str) -> Callable[[Request, Principal], Plan]:
    def plan(request: Request, caller: Principal) -> Plan:
        channel = names.job_channel(request.path_params["job_id"])
        return Plan((channel,), ENCODER, lambda job: job.kind == kind)

    return plan


def _my_jobs(request: Request, caller: Principal) -> Plan:
    return Plan((names.user_channel(caller.known_subject()),), ENCODER)


def routes(stream: StreamRoutes) -> list[BaseRoute]:
    plans = {f"/api/v1/sse/jobs/{kind}/{{job_id:id}}": _job_of_kind(kind) for kind in KINDS}
    plans["/api/v1/sse/jobs/my"] = _my_jobs
    return [stream(path, plan, ENCODER) for path, plan in plans.items()]

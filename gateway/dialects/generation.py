"""The dialect ``generation``: unnamed events with a status, until the job has succeeded or failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from starlette.requests import Request
from starlette.routing import BaseRoute

from gateway.auth.principal import Principal
from gateway.dialects import common
from gateway.exceptions import BadRequest
from gateway.fanout.encoder import Encoder
from gateway.streams.plan import Plan
from gateway.streams.route import StreamRoutes
from publisher import channels as names
from publisher.envelope import Event
from publisher.job import Job

WORDS: Final[Mapping[str, str]] = {
    "pending": "started",
    "active": "processing",
    "completed": "succeeded",
    "failed": "failed",
    "cancelled": "failed",
}


class GenerationEncoder(Encoder):
    """Every story begins with ``started``, also one that is told anew after a loss."""

    name: ClassVar[str] = "generation"
    final: ClassVar[bool] = True

    def state(self, job: Job, seq: int) -> list[bytes]:
        started = common.block({"status": WORDS["pending"]})
        return [started] if job.status == "pending" else [started, _block(job)]

    def event(self, event: Event) -> bytes | None:
        job = common.job_of(event)
        return None if job is None else _block(job)

    def heartbeat(self) -> bytes:
        # No blank line: some of its clients take every blank line for an empty message.
        return b": heartbeat\n"


def _block(job: Job) -> bytes:
    return common.block(
        {
            "status": WORDS[job.status],
            "progress": None if job.status == "pending" else job.progress,
            "output": _output(job.result),
            "error": common.reason(job),
        }
    )


def _output(result: Any) -> list[Any] | None:
    """``result.output``, else the result, as a list; None where there is nothing."""
    found = result.get("output") if isinstance(result, dict) and "output" in result else result
    if found is None or isinstance(found, list):
        return found
    return [found]


ENCODER: Final = GenerationEncoder()


def _session(request: Request, caller: Principal) -> Plan:
    session_id = request.query_params.get("sessionId")
    if not session_id:
        raise BadRequest("Name the session: ?sessionId=…")
    provider_id = request.query_params.get("providerId")
    return Plan(
        (names.job_channel(session_id),),
        ENCODER,
        lambda job: not provider_id or (job.meta or {}).get("provider_id") == provider_id,
    )


def routes(stream: StreamRoutes) -> list[BaseRoute]:
    return [stream("/api/generation", _session, ENCODER)]

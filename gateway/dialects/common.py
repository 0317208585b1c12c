"""What the dialects have in common: events read as jobs, times as text, the reason of a failure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from gateway.fanout import sse
from publisher import channels as names
from publisher.envelope import Event
from publisher.job import Job, Status

STATUS_OF: Final[Mapping[str, Status]] = {
    names.CREATED: "pending",
    names.STARTED: "active",
    names.PROGRESS: "active",
    names.RETRYING: "pending",
    names.COMPLETED: "completed",
    names.FAILED: "failed",
    names.CANCELLED: "cancelled",
}
"""The events of a job's life, and the status that it has after each."""

_ZERO: Final = datetime(1970, 1, 1, tzinfo=UTC)


def job_of(event: Event) -> Job | None:
    """The job as an event of its life shows it; what the event does not carry is absent.

    None for any other event, and for one whose data the job calls cannot have written: whoever may publish to Redis
    may write anything there, and a fan-out must not stumble over it.
    """
    status = STATUS_OF.get(event.type)
    data = data_of(event) if status else None
    if status is None or data is None or not isinstance(data.get("job_id"), str):
        return None
    error = data.get("error")
    return Job(
        job_id=data["job_id"],
        kind=text(data.get("kind")) or "",
        status=status,
        attempt=_whole(data.get("attempt")) or 1,
        progress=number(data.get("progress")) or 0,
        stage=text(data.get("stage")),
        message=text(data.get("message")),
        current=number(data.get("current")),
        total=number(data.get("total")),
        result=data.get("result"),
        error=error if isinstance(error, dict) else None,
        created_at=_whole(data.get("created_at")),
        started_at=_whole(data.get("started_at")),
        finished_at=_whole(data.get("finished_at")),
    )


def data_of(event: Event) -> dict[str, Any] | None:
    """An event's data if it is a JSON object, else None."""
    try:
        data = orjson.loads(event.data)
    except orjson.JSONDecodeError:
        return None
    return data if isinstance(data, dict) else None


def text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def iso(milliseconds: int | None) -> str | None:
    """A time in ms since the Unix epoch as ``2026-01-31T09:30:00.000Z``; None where there is none that a calendar
    knows."""
    if milliseconds is None:
        return None
    try:
        moment = _ZERO + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return None
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def reason(job: Job) -> str | None:
    """Why a job did not succeed, as a sentence for its owner; None for any other job."""
    if job.status == "cancelled":
        return "cancelled"
    if job.status == "failed":
        return text((job.error or {}).get("message")) or "The job failed."
    return None


def details(job: Job) -> Any:
    """What the worker had to say about a failure beside the sentence."""
    return (job.error or {}).get("details")


def block(fields: Mapping[str, Any], event: bytes = b"") -> bytes:
    """One event of those fields that are not None."""
    present = {name: value for name, value in fields.items() if value is not None}
    try:
        return sse.json_block(present, event)
    except orjson.JSONEncodeError:
        # The encoder stops at 254 levels, and a result may have them all: inside this object it is too deep.
        flat = {name: value for name, value in present.items() if not isinstance(value, dict | list)}
        return sse.json_block(flat, event)

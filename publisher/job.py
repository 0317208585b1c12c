"""A job as it is now: what the state hash in Redis says, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import UnionType
from typing import Any, Final, Literal, TypeAlias

from publisher import channels
from publisher.jsontext import dump, load_stored

Status: TypeAlias = Literal["pending", "active", "completed", "failed", "cancelled"]

_PLAIN = (
    "job_id",
    "kind",
    "owner",
    "status",
    "attempt",
    "paused",
    "progress",
    "stage",
    "message",
    "current",
    "total",
    "rate",
    "eta_s",
    "result",
    "error",
    "created_at",
    "started_at",
    "finished_at",
    "meta",
)

_KINDS: Final[Mapping[str, type | UnionType]] = {
    **dict.fromkeys(("job_id", "kind", "owner", "status", "stage", "message", "chat"), str),
    **dict.fromkeys(("progress", "current", "total", "rate", "eta_s"), int | float),
    **dict.fromkeys(("attempt", "lease_until", "created_at", "started_at", "finished_at"), int),
    **dict.fromkeys(("error", "meta"), dict),
    "paused": bool,
}
"""What a field must be; a result may be anything."""
_KNOWN: Final = {name.encode(): (name, _KINDS.get(name, object)) for name in (*_PLAIN, "lease_until", "chat")}


@dataclass(frozen=True, slots=True)
class Job:
    """The newest state of a job. Times are ms since the Unix epoch; ``progress`` goes from 0 to 100; ``rate`` is items
    per second, ``eta_s`` the seconds that are left by it; ``attempt`` counts from 1."""

    job_id: str
    kind: str
    owner: str | None = None
    status: Status = "pending"
    attempt: int = 1
    paused: bool = False
    progress: float = 0
    stage: str | None = None
    message: str | None = None
    current: float | None = None
    total: float | None = None
    rate: float | None = None
    eta_s: float | None = None
    result: Any = None
    error: dict[str, Any] | None = None
    created_at: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    meta: dict[str, Any] | None = None
    items: list[dict[str, Any]] = field(default_factory=list)
    lease_until: int | None = None
    """When its worker counts as lost (ms since the Unix epoch), if it gives no sign of life; not in :meth:`as_dict`."""

    chat: str | None = None
    """The chat that it is an answer in, if it is one."""
    text: str | None = None
    parts: list[dict[str, Any]] | None = None
    """What there is of an answer: all its text, and text, reasoning and other parts in order. None for any other job,
    and in lists of jobs."""

    @property
    def finished(self) -> bool:
        """Whether it has ended: completed, failed or cancelled."""
        return self.status in channels.FINISHED

    def may_be_lost(self, now: float) -> bool:
        """Whether its worker should have given a sign of life by ``now`` (seconds since the Unix epoch). Only a hint:
        Redis decides by its own clock, see :meth:`publisher.Publisher.expire_job`."""
        return self.status == "active" and self.lease_until is not None and self.lease_until < now * 1000

    def as_dict(self) -> dict[str, Any]:
        """The job as JSON data, with every field, absent ones as None; ``chat``, ``text`` and ``parts`` of an answer
        only where they are known."""
        data = {name: getattr(self, name) for name in _PLAIN}
        data["items"] = self.items
        for name in ("chat", "text", "parts"):
            if (value := getattr(self, name)) is not None:
                data[name] = value
        return data


def from_state(state: Mapping[bytes, bytes]) -> Job | None:
    """The job that a state hash describes, or None where there is none that can be read.

    Publishers in other languages write such hashes too: a field of the wrong kind is as good as absent. Without its id,
    its status or (where it has one) its owner, nobody could say what the job is, or who may see it.
    """
    plain: dict[str, Any] = {"kind": ""}
    items: dict[str, dict[str, Any]] = {}
    answer: bytes | None = None
    for raw_name, raw_value in state.items():
        known = _KNOWN.get(raw_name)
        if known is not None:
            name, kind = known
            value = load_stored(raw_value)
            if isinstance(value, kind) and (type(value) is not bool or kind is bool or kind is object):
                plain[name] = value
            elif name == "owner" and raw_value != b"null":
                return None
        elif raw_name.startswith(b"item:"):
            item_field, _, item_id = raw_name.decode(errors="replace").removeprefix("item:").partition(":")
            if item_field in channels.ITEM_FIELDS and item_id:
                items.setdefault(item_id, {"item_id": item_id})[item_field] = load_stored(raw_value)
        elif raw_name == b"answer":
            answer = raw_value
    if "job_id" not in plain or plain.get("status") not in channels.STATUSES:
        return None
    job = Job(**plain, items=list(items.values()))
    return job if answer is None else with_answer(job, answer)


def with_answer(job: Job, so_far: bytes) -> Job:
    """The job with what there is of its answer: the JSON of its parts, whose end is still open."""
    found = load_stored(so_far + b'"}]') or load_stored(so_far + b"]")
    parts = [part for part in found if isinstance(part, dict)] if isinstance(found, list) else []
    texts = [part.get("text") for part in parts if part.get("type") == "text"]
    return replace(job, text="".join(text for text in texts if isinstance(text, str)), parts=parts)


def from_event(data: bytes) -> Job | None:
    """The job that the data of a ``job.created`` describes; None where it is not one that this publisher made."""
    fields = load_stored(data)
    if not isinstance(fields, dict):
        return None
    return from_state({name.encode(): dump(value) for name, value in fields.items() if value is not None})

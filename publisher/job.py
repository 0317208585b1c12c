"""A job as it is now: what the state hash in Redis says, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from publisher import channels
from publisher.jsontext import load_stored

_PLAIN = (
    "job_id",
    "kind",
    "owner",
    "status",
    "progress",
    "stage",
    "message",
    "current",
    "total",
    "result",
    "error",
    "created_at",
    "started_at",
    "finished_at",
    "meta",
)


@dataclass(frozen=True, slots=True)
class Job:
    """The newest state of a job. Times are ms since the Unix epoch; ``progress`` goes from 0 to 100."""

    job_id: str
    kind: str
    owner: str | None = None
    status: str = "pending"
    progress: float = 0
    stage: str | None = None
    message: str | None = None
    current: float | None = None
    total: float | None = None
    result: Any = None
    error: dict[str, Any] | None = None
    created_at: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    meta: dict[str, Any] | None = None
    items: list[dict[str, Any]] = field(default_factory=list)

    @property
    def finished(self) -> bool:
        """Whether it has ended: completed, failed or cancelled."""
        return self.status in channels.FINISHED

    def as_dict(self) -> dict[str, Any]:
        """The job as JSON data, with every field, absent ones as None."""
        data = {name: getattr(self, name) for name in _PLAIN}
        data["items"] = self.items
        return data


def from_state(state: Mapping[bytes, bytes]) -> Job | None:
    """The job that a state hash describes, or None where there is none."""
    if b"job_id" not in state or b"status" not in state:
        return None
    plain: dict[str, Any] = {}
    items: dict[str, dict[str, Any]] = {}
    for raw_name, raw_value in state.items():
        name = raw_name.decode()
        if name.startswith("item:"):
            _, item_field, item_id = name.split(":", 2)
            items.setdefault(item_id, {"item_id": item_id})[item_field] = load_stored(raw_value)
        elif name in _PLAIN:
            plain[name] = load_stored(raw_value)
    plain.setdefault("kind", "")
    return Job(**plain, items=list(items.values()))

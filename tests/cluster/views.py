"""The ways to watch what the steady publisher publishes: a path, and how to read what comes, for each dialect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from publisher import channels as names
from tests.cluster.ledger import ITEM, STEP, TOKEN, job_number
from tests.cluster.steady import OWNER
from tests.cluster.trail import Kind
from tests.support.sse_parser import SseEvent

LIFE: Final = (names.CREATED, names.STARTED, names.PROGRESS, names.COMPLETED, names.FAILED, names.CANCELLED)
FINAL: Final = frozenset({"completed", "failed", "succeeded", "cancelled"})


@dataclass(frozen=True)
class Block:
    """One block as a view understands it. ``channel`` is empty where it is about the whole connection;
    ``type`` is the publisher's word, known in the native dialect only; ``job`` and ``status`` tell how a job is."""

    kind: Kind
    channel: str = ""
    number: int | None = None
    type: str = ""
    job: str = ""
    status: str = ""


@dataclass(frozen=True)
class View:
    """``path`` and ``channels`` may hold ``{job}``: then the client watches one job after the other.

    ``fetch``: its clients are no EventSource, know no cursor and take any end as final. ``has_word``: the dialect
    has one for every event and for a loss. ``words`` are the types that it can tell, where it cannot tell all.
    """

    name: str
    path: str
    channels: tuple[str, ...]
    read: Callable[[View, SseEvent], Block | None]
    fetch: bool = False
    has_word: bool = False
    words: frozenset[str] = frozenset(LIFE)

    @property
    def per_job(self) -> bool:
        return "{job}" in self.path

    def of(self, job_id: str) -> View:
        """The view of one job."""
        channels = tuple(channel.format(job=job_id) for channel in self.channels)
        return View(self.name, self.path.format(job=job_id), channels, self.read, self.fetch, self.has_word, self.words)


# Native ---


def _native(view: View, event: SseEvent) -> Block | None:
    data = event.json()
    if event.type == "message":
        return _native_event(data["channel"], data["type"], data["data"])
    if event.type == "stream.open":
        return Block(Kind.GREETING)
    if event.type == "stream.reset":
        return Block(Kind.RESET, data["channel"])
    if event.type == "job.state":
        return Block(Kind.STATE, job=data["job_id"], status=data["status"])
    if event.type.startswith("stream."):
        return None
    channel = data["on"] if "on" in data else view.channels[0]
    return _native_event(channel, event.type, data)


def _native_event(channel: str, type_: str, data: Mapping[str, Any]) -> Block:
    block = Block(Kind.EVENT, channel, type=type_, number=_number(channel, type_, data))
    if type_ in LIFE:
        return Block(Kind.EVENT, channel, block.number, type_, data["job_id"], str(data.get("status") or ""))
    return block


def _number(channel: str, type_: str, data: Mapping[str, Any]) -> int | None:
    if type_ == "tick":
        return int(data["n"])
    if not channel.startswith("job:"):
        return None
    if type_ == names.PROGRESS and data.get("current"):
        return job_number(int(data["current"]), STEP)
    if type_ == names.ITEM:
        return job_number(int(data["message"]), ITEM)
    return job_number(int(data["n"]), TOKEN) if type_ == "token" else None


def _clients(view: View, event: SseEvent) -> Block | None:
    if event.type == "__heartbeat":
        return None
    return Block(Kind.GREETING) if event.type == "__connected" else _native(view, event)


# The others: jobs only. Their numbers follow from the progress, where that is what the worker made of a step ---


def _jobs(view: View, event: SseEvent) -> Block | None:
    data = event.json()
    if data["type"] == "connected":
        return Block(Kind.GREETING)
    kind = Kind.STATE if data["type"] == "initial_status" else Kind.EVENT
    return Block(kind, view.channels[0], job=data["jobId"], status=data["status"])


def _generation(view: View, event: SseEvent) -> Block | None:
    data = event.json()
    if data["status"] == "started":
        # Both the first state and the event of a job's creation.
        return Block(Kind.STATE, view.channels[0])
    return Block(Kind.EVENT, view.channels[0], job=_job_of(view), status=data["status"])


def _tasks(view: View, event: SseEvent) -> Block | None:
    data = event.json()
    status = {"task_completed": "completed", "task_failed": "failed"}.get(event.type, "active")
    number = None
    if event.type == "file_update":
        number = job_number(int(data["message"]), ITEM)
    elif event.type == "task_progress" and data.get("current"):
        number = job_number(int(data["current"]), STEP)
    return Block(Kind.EVENT, view.channels[0], number, job=data["task_id"], status=status)


def _video(view: View, event: SseEvent) -> Block | None:
    data = event.json()
    # A status is the newest state, or the event of a job's creation or start.
    kind = Kind.STATE if event.type == "status" else Kind.EVENT
    return Block(kind, view.channels[0], job=data["job_id"], status=data["status"])


def _job_of(view: View) -> str:
    return view.channels[0].partition(":")[2]


JOB: Final = ("job:{job}",)
MINE: Final = (f"user:{OWNER}",)
PLAIN: Final = ("topic:a", "topic:b", f"client:{OWNER}", "broadcast")
"""The channels of the steady publisher's plain events."""
TASKS: Final = frozenset({*LIFE, names.ITEM})

VIEWS: Final = (
    View("native topics", "/v1/events?channel=topic:a&channel=topic:b", PLAIN[:2], _native, has_word=True),
    View("native client", f"/v1/clients/{OWNER}/events", PLAIN[2:], _native, has_word=True),
    View("native job", "/v1/jobs/{job}/events", JOB, _native, has_word=True),
    View("native my jobs", "/v1/jobs/events", MINE, _native, has_word=True),
    View("native burst", "/v1/events?channel=topic:burst", ("topic:burst",), _native, has_word=True),
    View(
        "native envelope",
        "/v1/events?channel=topic:a&channel=broadcast&envelope=1",
        ("topic:a", "broadcast"),
        _native,
        has_word=True,
    ),
    View("clients", f"/api/sse/subscribe/{OWNER}", PLAIN[2:], _clients, has_word=True),
    View("jobs", "/api/v1/sse/jobs/character/{job}", JOB, _jobs),
    View("jobs my", "/api/v1/sse/jobs/my", MINE, _jobs),
    View("generation", "/api/generation?sessionId={job}&providerId=p1", JOB, _generation),
    View("tasks", "/api/v1/status/tasks/{job}/stream", JOB, _tasks, words=TASKS),
    View("video", "/jobs/{job}/stream", JOB, _video),
)
FETCHED: Final = tuple(
    View(f"{view.name} (fetch)", view.path, view.channels, view.read, fetch=True, words=view.words)
    for view in VIEWS
    if view.name in ("generation", "jobs", "jobs my")
)

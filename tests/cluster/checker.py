"""What a client of each dialect must have seen of the worker's events, and what it did see."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from tests.support.eventsource import EventSource
from tests.support.publishers import Reader
from tests.support.sse_parser import SseEvent

Sighting = tuple[str, int]
"""Channel and the worker's number."""


@dataclass(frozen=True)
class View:
    """A stream of one dialect: its path, the channels whose numbers it must show, and how to read them."""

    name: str
    path: str
    channels: tuple[str, ...]
    sight: Callable[[SseEvent], Sighting | None]
    is_end: Callable[[SseEvent], bool] = lambda event: False


def native_progress(event: SseEvent) -> Sighting | None:
    return ("job", event.json()["current"]) if event.type == "job.progress" else None


def tick(event: SseEvent) -> Sighting | None:
    if event.type != "tick":
        return None
    data = event.json()
    return data["on"], data["n"]


def enveloped_tick(event: SseEvent) -> Sighting | None:
    if event.type != "message":
        return None
    data = event.json()
    return data["channel"], data["data"]["n"]


def task_progress(event: SseEvent) -> Sighting | None:
    return ("job", event.json()["current"]) if event.type == "task_progress" and "current" in event.json() else None


def by_progress(total: int, accepts: Callable[[SseEvent, dict[str, Any]], bool]) -> Callable[..., Sighting | None]:
    """Dialects that carry no count: the number follows from the progress that the worker made of it."""

    def sight(event: SseEvent) -> Sighting | None:
        data = event.json()
        if not accepts(event, data) or not 0 < data.get("progress", 0) < 100:
            return None
        return "job", round(data["progress"] * (total + 1) / 100)

    return sight


def views(job_id: str, total: int) -> list[View]:
    """One view for each way to watch what the worker publishes."""
    job = ("job",)

    def job_update(event: SseEvent, data: dict[str, Any]) -> bool:
        return bool(data.get("type") == "job_update" and data["status"] == "active")

    def job_end(event: SseEvent) -> bool:
        data = event.json()
        return bool(data.get("type") == "job_update" and data.get("status") == "completed")

    def native_end(event: SseEvent) -> bool:
        return event.type == "job.completed"

    return [
        View("native job", f"/v1/jobs/{job_id}/events", job, native_progress, native_end),
        View("native my jobs", "/v1/jobs/events", job, native_progress, native_end),
        View("native client", "/v1/clients/user-1/events", ("client:user-1", "broadcast"), tick),
        View("native topic", "/v1/events?channel=topic:news&envelope=1", ("topic:news",), enveloped_tick),
        View(
            "native two channels",
            "/v1/events?channel=broadcast&channel=topic:news&envelope=1",
            ("broadcast", "topic:news"),
            enveloped_tick,
        ),
        View("jobs", f"/api/v1/sse/jobs/character/{job_id}", job, by_progress(total, job_update), job_end),
        View("jobs my", "/api/v1/sse/jobs/my", job, by_progress(total, job_update), job_end),
        View("clients", "/api/sse/subscribe/user-1", ("client:user-1", "broadcast"), tick),
        View(
            "generation",
            f"/api/generation?sessionId={job_id}&providerId=p1",
            job,
            by_progress(total, lambda event, data: data["status"] == "processing"),
            lambda event: event.json()["status"] == "succeeded",
        ),
        View(
            "tasks",
            f"/api/v1/status/tasks/{job_id}/stream",
            job,
            task_progress,
            lambda event: event.type == "task_completed",
        ),
        View(
            "video",
            f"/jobs/{job_id}/stream",
            job,
            by_progress(total, lambda event, data: event.type == "progress"),
            lambda event: event.type == "complete",
        ),
    ]


def sightings(view: View, source: EventSource) -> list[Sighting]:
    return [seen for event in source.events if (seen := view.sight(event)) is not None]


Truth = dict[str, list[int]]
"""The worker's numbers by channel, as Redis has them in its histories: what was accepted."""


def accepted(url: str, prefix: str, job_id: str) -> Truth:
    """Read the truth. A worker's progress may be superseded while Redis is away; everything else must be there."""
    with contextlib.closing(Reader(url, prefix)) as reader:
        return truth_from(reader, job_id)


def truth_from(reader: Reader, job_id: str) -> Truth:
    ticks = ("client:user-1", "topic:news", "broadcast")
    truth = {name: [orjson.loads(e.data)["n"] for e in reader.log(name) if e.type == "tick"] for name in ticks}
    steps = [event for event in reader.log(f"job:{job_id}") if event.type == "job.progress"]
    return {**truth, "job": [orjson.loads(event.data)["current"] for event in steps]}


def has_all(view: View, source: EventSource, truth: Truth) -> bool:
    """Whether the last event of each channel, and the end of the job, have arrived."""
    if view.channels == ("job",):
        return any(view.is_end(event) for event in source.events)
    seen = sightings(view, source)
    return all((channel, truth[channel][-1]) in seen for channel in view.channels)


def problems(view: View, source: EventSource, truth: Truth) -> list[str]:
    """What is wrong with what this client saw; empty if nothing is."""
    found = []
    for channel in view.channels:
        seen = [number for on, number in sightings(view, source) if on == channel]
        wanted = truth[channel]
        if seen != wanted:
            lost = [n for n in wanted if n not in seen]
            repeated = sorted({n for n in seen if seen.count(n) > 1})
            foreign = [n for n in seen if n not in wanted]
            order = "" if seen == sorted(seen) else ", out of order"
            report = f"{view.name} {channel}: lost {lost[:9]}, repeated {repeated[:9]}, foreign {foreign[:9]}{order}"
            found.append(report)
    resets = source.of_type("stream.reset")
    return [*found, f"{view.name}: {len(resets)} resets"] if resets else found

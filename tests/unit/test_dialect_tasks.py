"""The dialect ``tasks``: every event and state, word for word."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.dialects.tasks import ENCODER
from publisher import channels
from publisher.envelope import Event
from publisher.job import Job
from tests.unit import dialect_world as world
from tests.unit.dialect_world import ITEM, JOB_ID, event, job, nested, shown, told

TASK = {"task_id": JOB_ID, "sequence": 7}
HOW_FAR = {"progress": 40, "current": 4, "total": 10, "total_files": 10, "message": "Painting", **TASK}
FILE = {"file_id": "f1", "filename": "a.png", "status": "processing", "progress": 10, "message": "Reading", **TASK}
DONE = {"job_id": JOB_ID, "result": {"characterId": "c-1"}, **TASK}
BROKEN = {"error": "Out of paint", "details": {"left": 0}, **TASK}
STOPPED = {"error": "cancelled", **TASK}
NO_NAME: dict[str, Any] = {"filename": None, "status": None, "progress": None, "message": None}

EVENTS: dict[str, tuple[Event, str, dict[str, Any]]] = {
    "created": (event(channels.CREATED), "task_progress", {"progress": 0, **TASK}),
    "started": (event(channels.STARTED), "task_progress", {"progress": 0, **TASK}),
    "progress": (event(channels.PROGRESS), "task_progress", HOW_FAR),
    "progress without counts": (
        event(channels.PROGRESS, **world.NO_WORDS),
        "task_progress",
        {"progress": 40, **TASK},
    ),
    "unicode": (
        event(channels.PROGRESS, message="Мальование\r\n\u2028"),
        "task_progress",
        {**HOW_FAR, "message": "Мальование\r\n\u2028"},
    ),
    "file": (event(channels.ITEM), "file_update", FILE),
    "file of which little is known": (event(channels.ITEM, **NO_NAME), "file_update", {"file_id": "f1", **TASK}),
    "completed": (event(channels.COMPLETED), "task_completed", DONE),
    "null result": (event(channels.COMPLETED, result=None), "task_completed", {"job_id": JOB_ID, **TASK}),
    "failed": (event(channels.FAILED), "task_failed", BROKEN),
    "failed without details": (
        event(channels.FAILED, error={"message": "Out of paint", "code": None, "details": None}),
        "task_failed",
        {"error": "Out of paint", **TASK},
    ),
    "cancelled": (event(channels.CANCELLED), "task_failed", STOPPED),
}

STATES: dict[str, tuple[Job, list[tuple[str, dict[str, Any]]]]] = {
    "pending": (world.PENDING, [("task_progress", {"progress": 0, **TASK})]),
    "active": (world.ACTIVE, [("task_progress", HOW_FAR)]),
    "active with a file": (job(items=[ITEM]), [("task_progress", HOW_FAR), ("file_update", FILE)]),
    "completed": (world.COMPLETED, [("task_completed", DONE)]),
    "failed": (world.FAILED, [("task_failed", BROKEN)]),
    "cancelled": (world.CANCELLED, [("task_failed", STOPPED)]),
    "ended with a file": (
        job(status="completed", result={"characterId": "c-1"}, items=[ITEM]),
        [("task_completed", DONE)],
    ),
}


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_is_told_by_its_own_name(name: str) -> None:
    heard, word, fields = EVENTS[name]
    assert told(ENCODER, heard) == [(word, fields)]


@pytest.mark.parametrize("name", STATES)
def test_a_state_is_told_in_the_matching_event(name: str) -> None:
    """The task before its files, and nothing beside the end."""
    state, expected = STATES[name]
    assert shown(ENCODER, state) == expected


def test_the_sequence_is_the_events_number() -> None:
    [(_, data)] = told(ENCODER, event(channels.PROGRESS, seq=123))
    assert data["sequence"] == 123


def test_the_workers_own_types_are_not_told() -> None:
    assert told(ENCODER, event("token", text="Hel")) == []


@pytest.mark.parametrize("name", world.HOSTILE)
@pytest.mark.parametrize("type_", [channels.FAILED, channels.ITEM])
def test_data_that_no_job_call_writes_is_not_told(name: str, type_: str) -> None:
    assert told(ENCODER, world.raw_event(type_, world.HOSTILE[name])) == []


def test_a_result_too_deep_to_be_wrapped_is_left_out() -> None:
    """A job's last event arrives whatever its result is."""
    deep = job(status="completed", result=nested(254))
    assert shown(ENCODER, deep) == [("task_completed", {"job_id": JOB_ID, **TASK})]


def test_it_says_nothing_of_its_own() -> None:
    """The first event is the state; a loss is told by the state alone."""
    assert ENCODER.opened("c1", ["job:j-1"], False) == []
    assert ENCODER.reset("job:j-1", "history_lost") == []


def test_its_bytes() -> None:
    assert ENCODER.event(event(channels.CANCELLED)) == (
        b'event: task_failed\ndata: {"error":"cancelled","task_id":"j-1","sequence":7}\n\n'
    )


def test_a_heartbeat_is_a_comment_and_a_blank_line() -> None:
    assert ENCODER.heartbeat() == b": heartbeat\n\n"

"""The dialect ``jobs``: every event and state, word for word."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.dialects.jobs import ENCODER
from publisher import channels
from publisher.envelope import Event
from publisher.job import Job
from tests.unit import dialect_world as world
from tests.unit.dialect_world import CREATED, FINISHED, JOB_ID, STARTED, event, shown, spoken, told

BORN = {"jobId": JOB_ID, "status": "pending", "progress": 0, "createdAt": CREATED}
TIMES = {"createdAt": CREATED, "startedAt": STARTED}
ENDED = {**TIMES, "completedAt": FINISHED}
DONE = {"jobId": JOB_ID, "status": "completed", "progress": 100, "result": {"characterId": "c-1"}, **ENDED}
BROKEN = {"jobId": JOB_ID, "status": "failed", "progress": 40, "failedReason": "Out of paint", **ENDED}
STOPPED = {"jobId": JOB_ID, "status": "failed", "progress": 40, "failedReason": "cancelled", **ENDED}

UPDATES: dict[str, tuple[Event, dict[str, Any]]] = {
    "created": (event(channels.CREATED), BORN),
    "started": (event(channels.STARTED), {**BORN, "status": "active", "startedAt": STARTED}),
    "progress": (event(channels.PROGRESS), {"jobId": JOB_ID, "status": "active", "progress": 40}),
    "completed": (event(channels.COMPLETED), DONE),
    "failed": (event(channels.FAILED), BROKEN),
    "cancelled": (event(channels.CANCELLED), STOPPED),
    "on the owner's channel": (event(channels.COMPLETED, channel="user:ann"), DONE),
    "null result": (event(channels.COMPLETED, result=None), {k: v for k, v in DONE.items() if k != "result"}),
    "false result": (event(channels.COMPLETED, result=False), {**DONE, "result": False}),
    "unicode": (
        event(channels.FAILED, error={"message": "Keine Farbe \U0001f3a8\u2028"}),
        {**BROKEN, "failedReason": "Keine Farbe \U0001f3a8\u2028"},
    ),
    "no error": (event(channels.FAILED, error=None), {**BROKEN, "failedReason": "The job failed."}),
    "an error without words": (
        event(channels.FAILED, error={"message": ""}),
        {**BROKEN, "failedReason": "The job failed."},
    ),
    "fractions": (event(channels.PROGRESS, progress=33.5), {"jobId": JOB_ID, "status": "active", "progress": 33.5}),
}

STATES: dict[str, tuple[Job, list[dict[str, Any]]]] = {
    "pending": (world.PENDING, [{"type": "initial_status", **BORN}]),
    "active": (
        world.ACTIVE,
        [{"type": "initial_status", "jobId": JOB_ID, "status": "active", "progress": 40, **TIMES}],
    ),
    "completed": (world.COMPLETED, [{"type": "initial_status", **DONE}, {"type": "job_update", **DONE}]),
    "failed": (world.FAILED, [{"type": "initial_status", **BROKEN}, {"type": "job_update", **BROKEN}]),
    "cancelled": (world.CANCELLED, [{"type": "initial_status", **STOPPED}, {"type": "job_update", **STOPPED}]),
}


@pytest.mark.parametrize("name", UPDATES)
def test_an_event_of_the_jobs_life_is_a_job_update(name: str) -> None:
    """Absent values are left out."""
    heard, fields = UPDATES[name]
    assert told(ENCODER, heard) == [("message", {"type": "job_update", **fields})]


@pytest.mark.parametrize("name", STATES)
def test_a_state_is_an_initial_status_and_for_who_comes_late_an_update_too(name: str) -> None:
    state, expected = STATES[name]
    assert shown(ENCODER, state) == [("message", data) for data in expected]


def test_it_greets_first() -> None:
    [(name, data)] = spoken(*ENCODER.opened("c1", ["job:j-1"], False))
    assert name == "message"
    assert data["type"] == "connected"
    assert data["message"]


def test_items_and_the_workers_own_types_are_not_told() -> None:
    assert told(ENCODER, event(channels.ITEM)) == []
    assert told(ENCODER, event("token", text="Hel")) == []


@pytest.mark.parametrize("name", world.HOSTILE)
def test_data_that_no_job_call_writes_is_not_told(name: str) -> None:
    """A fan-out must not stumble over it."""
    assert told(ENCODER, world.raw_event(channels.COMPLETED, world.HOSTILE[name])) == []


def test_a_loss_is_told_by_the_state_alone() -> None:
    assert ENCODER.reset("job:j-1", "history_lost") == []


def test_its_bytes() -> None:
    assert ENCODER.event(event(channels.PROGRESS)) == (
        b'data: {"type":"job_update","jobId":"j-1","status":"active","progress":40}\n\n'
    )


def test_a_heartbeat_has_no_blank_line() -> None:
    """A blank line would be an empty message to one of its clients."""
    assert ENCODER.heartbeat() == b": heartbeat\n"


def test_its_streams_are_the_last_to_go() -> None:
    """Its clients take any end as final."""
    assert ENCODER.final

"""The dialect ``video``: every event and state, word for word."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.dialects.video import ENCODER
from publisher import channels
from publisher.envelope import Event
from publisher.job import Job
from tests.unit import dialect_world as world
from tests.unit.dialect_world import JOB_ID, event, shown, told

BORN = {"job_id": JOB_ID, "status": "pending", "stage": "", "progress": 0, "message": ""}
AT_WORK = {"job_id": JOB_ID, "status": "active", "stage": "render", "progress": 40, "message": "Painting"}
DONE = {**AT_WORK, "status": "completed", "progress": 100, "details": {"characterId": "c-1"}}
BROKEN = {**AT_WORK, "status": "failed", "details": {"left": 0}}
STOPPED = {**AT_WORK, "status": "cancelled"}

EVENTS: dict[str, tuple[Event, str, dict[str, Any]]] = {
    "created": (event(channels.CREATED), "status", BORN),
    "started": (event(channels.STARTED), "status", {**BORN, "status": "active"}),
    "progress": (event(channels.PROGRESS), "progress", AT_WORK),
    "progress without words": (
        event(channels.PROGRESS, **world.NO_WORDS),
        "progress",
        {**AT_WORK, "stage": "", "message": ""},
    ),
    "unicode": (event(channels.PROGRESS, message="完成\n半分"), "progress", {**AT_WORK, "message": "完成\n半分"}),
    "completed": (event(channels.COMPLETED), "complete", DONE),
    "null result": (
        event(channels.COMPLETED, result=None),
        "complete",
        {k: v for k, v in DONE.items() if k != "details"},
    ),
    "failed": (event(channels.FAILED), "error", {**BROKEN, "message": "Out of paint"}),
    "no error": (
        event(channels.FAILED, error=None),
        "error",
        {**AT_WORK, "status": "failed", "message": "The job failed."},
    ),
    "cancelled": (event(channels.CANCELLED), "error", {**STOPPED, "message": "cancelled"}),
}

STATES: dict[str, tuple[Job, list[tuple[str, dict[str, Any]]]]] = {
    "pending": (world.PENDING, [("status", BORN)]),
    "active": (world.ACTIVE, [("status", AT_WORK)]),
    "completed": (world.COMPLETED, [("status", DONE), ("complete", DONE)]),
    "failed": (world.FAILED, [("status", BROKEN), ("error", {**BROKEN, "message": "Out of paint"})]),
    "cancelled": (world.CANCELLED, [("status", STOPPED), ("error", {**STOPPED, "message": "cancelled"})]),
}


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_of_the_jobs_life_is_told_by_its_own_name(name: str) -> None:
    """Stage and message are empty rather than absent: the page prints them."""
    heard, word, fields = EVENTS[name]
    assert told(ENCODER, heard) == [(word, fields)]


@pytest.mark.parametrize("name", STATES)
def test_a_state_is_a_status_and_for_who_comes_late_the_end_too(name: str) -> None:
    state, expected = STATES[name]
    assert shown(ENCODER, state) == expected


def test_items_and_the_workers_own_types_are_not_told() -> None:
    assert told(ENCODER, event(channels.ITEM)) == []
    assert told(ENCODER, event("token", text="Hel")) == []


@pytest.mark.parametrize("name", world.HOSTILE)
def test_data_that_no_job_call_writes_is_not_told(name: str) -> None:
    assert told(ENCODER, world.raw_event(channels.FAILED, world.HOSTILE[name])) == []


def test_it_says_nothing_of_its_own() -> None:
    """The first event is the status; a loss is told by the state alone."""
    assert ENCODER.opened("c1", ["job:j-1"], False) == []
    assert ENCODER.reset("job:j-1", "history_lost") == []


def test_its_bytes() -> None:
    assert ENCODER.event(event(channels.CREATED)) == (
        b'event: status\ndata: {"job_id":"j-1","status":"pending","stage":"","progress":0,"message":""}\n\n'
    )


def test_a_heartbeat_is_a_comment_and_a_blank_line() -> None:
    assert ENCODER.heartbeat() == b": heartbeat\n\n"


def test_the_stream_outlives_its_last_event_by_a_moment() -> None:
    """Its clients close by themselves, and take a server that is quicker for an error."""
    assert ENCODER.end_delay_s == 0.1

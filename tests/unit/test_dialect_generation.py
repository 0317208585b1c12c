"""The dialect ``generation``: every event and state, word for word."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.dialects.generation import ENCODER
from publisher import channels
from publisher.envelope import Event
from publisher.job import Job
from tests.unit import dialect_world as world
from tests.unit.dialect_world import event, job, nested, shown, told

STARTED = {"status": "started"}
DONE = {"status": "succeeded", "progress": 100}

UPDATES: dict[str, tuple[Event, dict[str, Any]]] = {
    "created": (event(channels.CREATED), STARTED),
    "started": (event(channels.STARTED), {"status": "processing", "progress": 0}),
    "progress": (event(channels.PROGRESS), {"status": "processing", "progress": 40}),
    "completed": (event(channels.COMPLETED, result={"output": ["a", "b"]}), {**DONE, "output": ["a", "b"]}),
    "failed": (event(channels.FAILED), {"status": "failed", "progress": 40, "error": "Out of paint"}),
    "cancelled": (event(channels.CANCELLED), {"status": "failed", "progress": 40, "error": "cancelled"}),
    "no error": (event(channels.FAILED, error=None), {"status": "failed", "progress": 40, "error": "The job failed."}),
}

OUTPUTS: dict[str, tuple[Any, Any]] = {
    "a list": ({"output": ["a", "b"]}, ["a", "b"]),
    "an empty list": ({"output": []}, []),
    "one string": ({"output": "a"}, ["a"]),
    "no output": ({"url": "u"}, [{"url": "u"}]),
    "a string for a result": ("ünïcødé", ["ünïcødé"]),
    "a list for a result": (["a", "b"], ["a", "b"]),
    "zero for a result": (0, [0]),
    "an empty result": ({}, [{}]),
}

STATES: dict[str, tuple[Job, list[dict[str, Any]]]] = {
    "pending": (world.PENDING, [STARTED]),
    "active": (world.ACTIVE, [STARTED, {"status": "processing", "progress": 40}]),
    "completed": (world.COMPLETED, [STARTED, {**DONE, "output": [{"characterId": "c-1"}]}]),
    "failed": (world.FAILED, [STARTED, {"status": "failed", "progress": 40, "error": "Out of paint"}]),
    "cancelled": (world.CANCELLED, [STARTED, {"status": "failed", "progress": 40, "error": "cancelled"}]),
}


@pytest.mark.parametrize("name", UPDATES)
def test_an_event_of_the_jobs_life_is_a_status(name: str) -> None:
    heard, expected = UPDATES[name]
    assert told(ENCODER, heard) == [("message", expected)]


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_output_is_always_a_list(name: str) -> None:
    result, output = OUTPUTS[name]
    assert told(ENCODER, event(channels.COMPLETED, result=result)) == [("message", {**DONE, "output": output})]


@pytest.mark.parametrize("result", [None, {"output": None}])
def test_no_output_is_left_out(result: Any) -> None:
    assert told(ENCODER, event(channels.COMPLETED, result=result)) == [("message", DONE)]


@pytest.mark.parametrize("name", STATES)
def test_a_state_begins_with_started(name: str) -> None:
    """Then follows the newest state, when it is more than that."""
    state, expected = STATES[name]
    assert shown(ENCODER, state) == [("message", data) for data in expected]


def test_it_says_nothing_before_the_state() -> None:
    assert ENCODER.opened("c1", ["job:j-1"], False) == []


def test_items_and_the_workers_own_types_are_not_told() -> None:
    assert told(ENCODER, event(channels.ITEM)) == []
    assert told(ENCODER, event("token", text="Hel")) == []


@pytest.mark.parametrize("name", world.HOSTILE)
def test_data_that_no_job_call_writes_is_not_told(name: str) -> None:
    assert told(ENCODER, world.raw_event(channels.PROGRESS, world.HOSTILE[name])) == []


def test_a_result_too_deep_to_be_wrapped_is_left_out() -> None:
    """A job's last event arrives whatever its result is."""
    assert shown(ENCODER, job(status="completed", result=nested(254))) == [
        ("message", STARTED),
        ("message", {"status": "succeeded", "progress": 40}),
    ]


def test_its_bytes() -> None:
    assert ENCODER.event(event(channels.COMPLETED, result="https://x/1.png")) == (
        b'data: {"status":"succeeded","progress":100,"output":["https://x/1.png"]}\n\n'
    )


def test_a_heartbeat_has_no_blank_line() -> None:
    assert ENCODER.heartbeat() == b": heartbeat\n"


def test_its_streams_are_the_last_to_go() -> None:
    assert ENCODER.final

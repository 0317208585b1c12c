"""A job as JSON text."""

from __future__ import annotations

import json
from typing import Any

from gateway.http.job_json import job_json
from publisher.job import Job, from_state


def _nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def test_every_field_is_there() -> None:
    assert json.loads(job_json(Job("j", "k", result={"a": "ü"}))) == Job("j", "k", result={"a": "ü"}).as_dict()


def test_what_somebody_stored_too_deep_to_be_passed_on_is_left_out() -> None:
    """Another language's publisher may nest deeper than can be wrapped once more; the rest of the job still shows."""
    state = {b"job_id": b'"j"', b"kind": b'"k"', b"status": b'"failed"', b"result": b"[" * 254 + b"]" * 254}
    job = from_state({**state, b"message": b"not JSON"})
    assert job == Job("j", "k", status="failed")
    assert json.loads(job_json(Job("j", "k", result=_nested(32)))) == Job("j", "k", result=_nested(32)).as_dict()

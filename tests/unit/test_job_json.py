"""A job as JSON text."""

from __future__ import annotations

import json
from typing import Any

from gateway.job_json import job_json
from publisher.job import Job


def _nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def test_every_field_is_there() -> None:
    assert json.loads(job_json(Job("j", "k", result={"a": "ü"}))) == Job("j", "k", result={"a": "ü"}).as_dict()


def test_what_is_nested_too_deeply_to_be_wrapped_is_left_out() -> None:
    job = Job("j", "k", status="failed", result=_nested(254), error={"message": "m", "details": _nested(253)})
    assert json.loads(job_json(job)) == {
        **Job("j", "k", status="failed").as_dict(),
        "error": {"message": "m", "details": None},
    }

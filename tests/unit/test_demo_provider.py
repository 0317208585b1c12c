"""The demo's provider draws as the clock goes."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.demo.provider import answer
from gateway.demo.scenarios import step_s
from publisher.job import Job


def test_it_says_more_each_time_and_is_done_after_eighteen_steps() -> None:
    job = Job("g", "generation", status="active", started_at=100_000, meta={"prompt": "a cat"})
    assert answer(Job("g", "generation"), 100).progress == 0
    told = [answer(job, 100 + 0.25 * step) for step in range(19)]
    percents = [found.progress or 0 for found in told[:-1]]
    assert len(set(percents)) == 18
    assert percents == sorted(percents)
    assert [told[1].message, told[17].message] == ["Reading the prompt", "Drawing"]
    assert told[-1].status == "completed"
    assert len(told[-1].result["output"]) == 2


@pytest.mark.parametrize(
    ("meta", "seconds"),
    [({}, 0.25), ({"speed": "slow"}, 1.0), ({"speed": "slowest"}, 3.0), ({"speed": "?"}, 0.25), ({"speed": []}, 0.25)],
    ids=str,
)
def test_a_step_takes_as_long_as_the_jobs_speed_says(meta: dict[str, Any], seconds: float) -> None:
    job = Job("g", "generation", status="active", started_at=100_000, meta=meta)
    assert step_s(meta) == seconds
    assert [answer(job, 100 + seconds * steps).status for steps in (17.5, 18)] == ["active", "completed"]


def test_it_fails_where_it_was_asked_to() -> None:
    job = Job("g", "generation", status="active", started_at=100_000, meta={"fail": True})
    assert answer(job, 102).status == "active"
    failed = answer(job, 103)
    assert (failed.status, failed.error) == ("failed", "This job was asked to fail halfway, and it did.")

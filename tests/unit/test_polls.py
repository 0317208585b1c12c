"""When a provider is asked, and what its answers mean: decided without asking anybody."""

from __future__ import annotations

from typing import Any

import pytest

from publisher.core import polls
from publisher.core.poll_memory import REMEMBERED, PollMemory
from publisher.core.polls import Claim, Rhythm
from publisher.core.scripts import NO_MORE
from publisher.job import Job
from publisher.polling import Poll

RHYTHM = Rhythm(1, 10, 900, 10)


def test_errors_make_the_questions_rarer_up_to_a_limit() -> None:
    assert RHYTHM.wait_s(0) == 1
    assert [RHYTHM.wait_s(errors, draw=1) for errors in (1, 2, 3, 4, 1000)] == [2, 4, 8, 10, 10]
    assert [RHYTHM.wait_s(errors, draw=0) for errors in (1, 4)] == [1, 1]
    assert len({RHYTHM.wait_s(5) for _ in range(20)}) > 1
    assert [RHYTHM.gives_up(errors) for errors in (9, 10)] == [False, True]


def test_a_job_is_due_an_interval_after_it_was_asked_for() -> None:
    claim = Claim("j", since_ms=1_000, errors=0, now_ms=61_000)
    assert RHYTHM.release(claim, 0) == ("j", 0, 62_000)
    assert 62_000 <= RHYTHM.release(claim, 1).due_ms <= 63_000
    assert RHYTHM.release(claim, None).due_ms == NO_MORE
    assert RHYTHM.left_s(claim) == 840


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"interval_s": 0}, "interval_s must be 0.01 to"),
        ({"interval_s": 11}, "max_interval_s must be at least interval_s, 11; raise it"),
        ({"timeout_s": True}, "timeout_s must be"),
        ({"timeout_s": float("nan")}, "timeout_s must be"),
        ({"give_up_after": 0}, "give_up_after must be a whole number"),
    ],
)
def test_a_rhythm_that_makes_no_sense_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Rhythm(**{"interval_s": 1, "max_interval_s": 10, "timeout_s": 900, "give_up_after": 10, **given})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"status": "pending"}, "status must be one of active, completed, failed, cancelled, not 'pending'"),
        ({"status": "active", "result": 1}, "result needs status 'completed'"),
        ({"status": "completed", "error": "e"}, "error needs status 'failed'"),
    ],
)
def test_an_answer_that_makes_no_sense_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Poll(**given)


def test_a_process_knows_what_it_has_asked_for_lately() -> None:
    memory = PollMemory(10)
    for n in range(REMEMBERED + 5):
        memory.remember(Job(f"j{n}", "k"), 0)
    assert len(memory.jobs(1)) == REMEMBERED
    assert memory.jobs(1)[0].job_id == "j5"
    memory.remember(Job("j5", "k", owner="ann"), 5)
    memory.forget("j6")
    assert [job.owner for job in memory.jobs(11)] == ["ann"]
    memory.remember(Job("new", "k"), 11)
    assert [job.job_id for job in memory.jobs(0)] == ["j5", "new"]


def test_viewers_are_told_only_what_is_new() -> None:
    job = Job("j", "k", status="active", progress=10, message="Drawing")
    assert polls.news(Poll("active"), job) is None
    assert polls.news(Poll("active", progress=10.0, message="Drawing"), job) is None
    assert polls.news(Poll("active", progress=11), job) == {"status": "active", "progress": 11}
    assert polls.news(Poll("active"), Job("j", "k")) == {"status": "active"}
    assert polls.news(Poll("completed", result={"n": 1}), job) == {"status": "completed", "result": {"n": 1}}
    assert polls.news(Poll("failed", error="No."), job) == {"status": "failed", "error": "No."}

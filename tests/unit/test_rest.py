"""Queueing rests from Redis where Redis was not there, and not where one task's job could not be."""

from __future__ import annotations

import pytest

from publisher import EventTooLarge, JobExists, PublishError
from publisher.integrations.policy import Rest
from publisher.integrations.rules import TaskOrder

ORDER = TaskOrder("j", "k", "ann", {"large": "x"})


@pytest.mark.parametrize(
    ("error", "rests"),
    [
        (PublishError("Redis is away."), True),
        (EventTooLarge(300_000, 262_144), False),
        (ValueError("The meta is no JSON."), False),
        (JobExists("j", "There is such a job."), False),
    ],
)
def test_only_an_outage_makes_queueing_rest(error: Exception, rests: bool) -> None:
    rest = Rest()
    rest.refused(ORDER, error)
    assert rest.on is rests

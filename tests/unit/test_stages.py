"""Shares of a plan, stages inside stages, and progress that never falls."""

from __future__ import annotations

from typing import Any

import pytest

from publisher.core.stages import Stages


def test_a_stage_that_is_not_planned_has_all_that_is_around_it() -> None:
    stages = Stages()
    assert stages.enter("render") == 0
    assert stages.overall(40) == 40
    assert stages.leave() is None
    assert stages.enter("more") == 40
    assert stages.overall(30) == 40


def test_shares_follow_the_weights_in_their_order() -> None:
    stages = Stages()
    stages.plan({"a": 1, "b": 0, "c": 3})
    stages.enter("a")
    assert stages.leave() == 25
    assert (stages.enter("b"), stages.leave()) == (25, 25)
    stages.enter("c")
    assert (stages.overall(50), stages.leave()) == (62.5, 100)


def test_an_abandoned_stage_does_not_fill_its_share() -> None:
    stages = Stages()
    stages.plan({"a": 1, "b": 1})
    stages.enter("a")
    stages.overall(10)
    stages.abandon()
    assert not stages.inside
    assert stages.enter("b") == 50


@pytest.mark.parametrize(
    "plan", [{}, {"a": 0}, {"a": -1, "b": 2}, {"a": float("nan")}, {"a": "x"}, {"": 1}, {"a/b": 1}, {7: 1}, ["a"], None]
)
def test_a_plan_that_makes_no_sense_is_refused(plan: Any) -> None:
    with pytest.raises(ValueError, match=r"plan|stage"):
        Stages().plan(plan)


def test_stages_are_bounded_in_depth() -> None:
    stages = Stages()
    with pytest.raises(ValueError, match="at most"):
        for _ in range(100):
            stages.enter("in")

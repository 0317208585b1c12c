"""How many streams a node lets in, and whose."""

from __future__ import annotations

import pytest

from gateway.closing import Closing
from gateway.exceptions import Refused, TooManyCalls
from gateway.limits import SOUGHT_JOBS, CallPlaces, Limits


def granted(limits: Limits, now: float, *users: str) -> list[bool]:
    """Whether each got a stream, which it closed at once."""
    answers = []
    for user in users:
        try:
            limits.enter(now, user)
        except Refused as refused:
            assert refused.closing is Closing.RATE_LIMIT
            answers.append(False)
        else:
            limits.leave()
            answers.append(True)
    return answers


def test_a_node_that_is_full_takes_one_more_for_each_that_leaves() -> None:
    limits = Limits(2, 0)
    for _ in range(2):
        limits.enter(0.0, "ann")
    with pytest.raises(Refused) as refused:
        limits.enter(0.0, "bob")
    assert refused.value.closing is Closing.NODE_LIMIT
    limits.leave()
    limits.enter(0.0, "bob")


def test_a_second_brings_its_number_of_streams_and_no_more() -> None:
    limits = Limits(0, 100)
    users = [f"user-{n}" for n in range(200)]
    assert sum(granted(limits, 10.0, *users)) == 100
    assert sum(granted(limits, 10.5, *users)) == 50
    assert sum(granted(limits, 99.0, *users)) == 100


def test_one_restless_user_leaves_half_of_a_second_to_others() -> None:
    limits = Limits(0, 100)
    assert sum(granted(limits, 10.0, *["ann"] * 1000)) == 50
    assert all(granted(limits, 10.0, *[f"user-{n}" for n in range(50)]))
    assert sum(granted(limits, 10.5, *["ann"] * 1000)) == 0
    assert all(granted(limits, 10.5, *[f"user-{n}" for n in range(50)]))


def test_a_user_below_half_of_the_rate_is_never_refused() -> None:
    limits = Limits(0, 500)
    assert all(granted(limits, n / 200, "ann")[0] for n in range(2000))


def test_who_looks_for_hundreds_of_jobs_that_are_not_there_waits_for_the_next_second() -> None:
    limits = Limits(0, 500)
    for _ in range(SOUGHT_JOBS):
        limits.seek("ann")
    for _ in range(10_000):  # of those that are there any number may be looked for
        limits.seek("bob")
        limits.found("bob")
    assert granted(limits, 0.5, "ann", "bob") == [True, True]
    limits.seek("ann")
    assert granted(limits, 0.6, "ann", "bob") == [False, True]
    assert granted(limits, 1.0, "ann") == [True]
    limits.found("ann")  # of the second before
    assert granted(limits, 1.1, "ann") == [True]


def test_a_limit_of_zero_is_none() -> None:
    limits = Limits(0, 0)
    assert all(granted(limits, 0.0, *["ann"] * 1000))


def test_a_users_calls_at_once_are_bounded_and_others_are_not_kept_out() -> None:
    places = CallPlaces(2)
    with places.place("sub:ann"), places.place("sub:ann"):
        with pytest.raises(TooManyCalls, match="2 calls under way"), places.place("sub:ann"):
            raise AssertionError
        with places.place("sub:bob"):
            pass
    with places.place("sub:ann"):
        pass


def test_a_call_that_fails_gives_its_place_back() -> None:
    places = CallPlaces(1)
    for _ in range(3):
        with pytest.raises(KeyError), places.place("sub:ann"):
            raise KeyError

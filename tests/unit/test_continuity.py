"""Whether a snapshot continues a position: every way to lose something must show."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fanout.continuity import Snapshot, missed
from publisher.envelope import START, Event, Position
from tests.unit.hub_world import at, events

CASES = {
    "nothing missed": (at(5), Snapshot(at(5), []), []),
    "two missed": (at(3), Snapshot(at(5), events("t", 4, 5)), [4, 5]),
    "all from the beginning": (START, Snapshot(at(2), events("t", 1, 2)), [1, 2]),
    "nothing published yet": (START, Snapshot(START, []), []),
    "older events in the page are skipped": (at(3), Snapshot(at(5), events("t", 2, 5)), [4, 5]),
    "a full page ends before the top": (at(3), Snapshot(at(9), events("t", 4, 5), more=True), [4, 5]),
    "a full page that has not come so far": (at(5), Snapshot(at(9), events("t", 2, 4), more=True), []),
    "trimmed history": (at(1), Snapshot(at(5), events("t", 4, 5)), None),
    "trimmed before anything was read": (START, Snapshot(at(5), events("t", 4, 5)), None),
    "another epoch": (Position("zzzzzzzz", 3, "m00003"), Snapshot(at(5), events("t", 4, 5)), None),
    "from the future": (at(9), Snapshot(at(5), []), None),
    "same number, another event": (at(5, "x"), Snapshot(at(5), []), None),
    "lost tail, refilled": (at(5, "x"), Snapshot(at(7), events("t", 6, 7)), None),
    "history gone, numbers known": (at(3), Snapshot(at(5), []), None),
    "an unreadable entry in between": (at(3), Snapshot(at(6), [*events("t", 4, 4), *events("t", 6, 6)]), None),
    "everything gone": (at(3), Snapshot(START, []), None),
    "a full page of unreadable entries": (at(3), Snapshot(at(9), [], more=True), None),
}


@pytest.mark.parametrize("name", CASES)
def test_missed(name: str) -> None:
    position, snapshot, expected = CASES[name]
    found = missed(position, snapshot)
    assert (None if found is None else [event.seq for event in found]) == expected


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.booleans())
def test_no_hole_is_ever_delivered(here: int, first: int, top: int, same: bool) -> None:
    """Whatever is left in the history: the events follow each other up to the top, or there is a reset."""
    position = START if here == 0 else at(here, "m" if same else "x")
    kept: list[Event] = events("t", max(first, 1), top)
    found = missed(position, Snapshot(at(top) if top else START, kept))
    if found is not None:
        assert [event.seq for event in found] == list(range(here + 1, top + 1))
        assert same or not here

"""A message of the UI message stream comes out as it was written, wherever a reader begins, breaks off and goes on."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.ui_message import Telling, addition_of, told_before
from gateway.dialects.ui_transcript import Transcript
from publisher import channels as names
from tests.support.ui_message import MessageReader
from tests.unit.answer_world import Author, Said, author_of, steps


def tell(told: Telling, events: list[Said]) -> list[bytes]:
    pieces = [piece for type_, data in events if (piece := addition_of(type_, data)) is not None]
    return [block for piece in pieces for block in told.piece(piece)]


@given(steps, st.data())
def test_who_comes_in_the_middle_reads_what_all_read(done: list[Any], data: st.DataObject) -> None:
    author = author_of(done)
    at = data.draw(st.integers(0, len(author.events)))
    told = Telling()
    first = told.rest(author.states[at])
    assert MessageReader().hear(first).parts == author.states[at]
    assert MessageReader().hear([*first, *tell(told, author.events[at:]), *told.end()]).parts == author.parts


@given(steps, st.data())
def test_who_comes_back_goes_on_where_it_was(done: list[Any], data: st.DataObject) -> None:
    """The cursor says only which events are missing; the rest follows from them and the newest state."""
    author = author_of(done)
    at = data.draw(st.integers(0, len(author.events)))
    there = data.draw(st.integers(at, len(author.events)))
    before = Telling()
    had = tell(before, author.events[:at])
    again = told_before(author.states[there], author.events[at:there], complete=True)
    assert again is not None and again.place == before.place
    assert again.begins(author.states[at]) and again.begins(author.states[there])
    assert MessageReader().hear([*had, *tell(again, author.events[at:]), *again.end()]).parts == author.parts


@given(steps, st.data())
def test_a_page_of_what_is_missing_is_enough_or_says_that_it_is_not(done: list[Any], data: st.DataObject) -> None:
    author = author_of(done)
    at = data.draw(st.integers(0, len(author.events)))
    page = data.draw(st.integers(at, len(author.events)))
    before = Telling()
    tell(before, author.events[:at])
    again = told_before(author.parts, author.events[at:page], complete=False)
    assert again is None or again.place == before.place


@given(steps, st.data())
def test_after_a_loss_only_what_goes_on_is_gone_on_with(done: list[Any], data: st.DataObject) -> None:
    author = author_of(done)
    at = data.draw(st.integers(0, len(author.events)))
    there = data.draw(st.integers(0, len(author.events)))
    told = Telling()
    had = tell(told, author.events[:at])
    other = author_of([("part", {"type": "data-other"}), *done])
    assert told.begins(other.parts) is not bool(author.states[at])
    if told.begins(author.states[there]):
        said = [*had, *told.rest(author.states[there]), *tell(told, author.events[there:]), *told.end()]
        assert MessageReader().hear(said).parts == author.parts
    else:
        assert there < at


@given(steps)
def test_a_transcript_is_the_same_message_with_its_pieces_joined(done: list[Any]) -> None:
    author = author_of(done)
    told, piecewise = Telling(), Transcript()
    for event in author.events:
        piecewise.add(tell(told, [event]))
        piecewise.whole()
    at_once = Transcript(Telling().rest(author.parts))
    assert piecewise.whole() == at_once.whole()
    assert MessageReader().hear(piecewise.whole()).parts == author.parts
    deltas = [block for block in piecewise.whole() if b'-delta"' in block]
    assert len(deltas) == len([part for part in author.parts if part["type"] in ("text", "reasoning")])


def test_a_transcript_is_put_together_once() -> None:
    author = Author()
    author.text("a")
    transcript = Transcript(Telling().rest(author.parts))
    assert transcript.whole() is transcript.whole()


@pytest.mark.parametrize(
    ("type_", "data"),
    [
        (names.TEXT, None),
        (names.TEXT, {"text": 1, "offset": 0}),
        (names.TEXT, {"text": "a", "offset": -1}),
        (names.TEXT, {"text": "a", "offset": True}),
        (names.PART, {"part": {"type": "data-a"}}),
        (names.PART, {"part": "data-a", "index": 0}),
        (names.PART, {"part": {"type": 1}, "index": 0}),
        (names.PART, {"part": {"type": "reasoning"}, "index": 0}),
        *[
            (names.PART, {"part": {"type": own}, "index": 0})
            for own in ("start", "finish", "abort", "error", "text-delta", "reasoning-end")
        ],
        (names.PROGRESS, {"text": "a", "offset": 0}),
    ],
)
def test_what_no_answer_has_written_adds_nothing(type_: str, data: Any) -> None:
    assert addition_of(type_, data) is None


@pytest.mark.parametrize(
    "said",
    [
        (names.TEXT, {"text": "a", "offset": 7}),
        (names.PART, {"part": {"type": "data-a"}, "index": 7}),
        (names.PART, {"part": {"type": "reasoning", "text": "longer than it is"}, "index": 1}),
    ],
)
def test_events_that_do_not_fit_the_state_cannot_be_gone_on_with(said: Said) -> None:
    author = author_of([("text", "abc"), ("reasoning", "why")])
    assert told_before(author.parts, [said], complete=True) is None

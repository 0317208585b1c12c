"""Cursors: any text may come back from outside."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.fanout import cursor
from publisher.envelope import START, Position
from tests.unit.hub_world import at

positions = st.builds(
    Position,
    st.text("abcdefghijklmnopqrstuvwxyzABC", min_size=8, max_size=8),
    st.integers(1, 10**15),
    st.text("abcXYZ019_-", min_size=6, max_size=6),
)


@given(st.dictionaries(st.text(min_size=1, max_size=20), positions | st.just(START), max_size=32))
def test_a_cursor_comes_back_as_it_was(places: dict[str, Position]) -> None:
    """32 channels at most, each with its own position."""
    text = b",".join(cursor.part(cursor.tag(name), position) for name, position in places.items()).decode()
    assert len(text) <= cursor.MAX_LENGTH
    assert cursor.parse(text) == {cursor.tag(name): position for name, position in places.items()}


@given(st.text(max_size=5000))
def test_no_text_is_ever_an_error(text: str) -> None:
    """What cannot be read is not there."""
    for position in cursor.parse(text).values():
        assert position == START or position.seq > 0


def test_an_unknown_place_is_no_position() -> None:
    """Who comes back with it is told the state anew; the other channels' positions stay good."""
    text = b",".join([cursor.part(cursor.tag("job:a"), cursor.UNKNOWN), cursor.part(cursor.tag("topic:b"), at(3))])
    assert cursor.parse(text.decode()) == {cursor.tag("topic:b"): at(3)}


def test_a_part_of_another_channel_says_nothing_about_this_one() -> None:
    text = cursor.part(cursor.tag("topic:a"), at(3)).decode()
    assert cursor.tag("topic:b") not in cursor.parse(text)


def test_the_rest_is_empty() -> None:
    """Who had nothing of a channel goes on with its first event, also where the cursor does not name it."""
    mine, all_ = cursor.tag("client:ann"), cursor.tag("broadcast")
    text = b",".join([cursor.REST, cursor.part(all_, at(3))]).decode()
    assert cursor.places(text, [mine, all_]) == {mine: START, all_: at(3)}


def test_the_rest_of_another_stream_says_nothing() -> None:
    mine, all_, other = cursor.tag("client:ann"), cursor.tag("broadcast"), cursor.tag("topic:a")
    text = b",".join([cursor.REST, cursor.part(all_, at(3))]).decode()
    assert cursor.places(text, [mine, other]) == {all_: at(3)}
    assert cursor.places(cursor.REST.decode(), [mine]) == {}

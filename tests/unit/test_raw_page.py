"""Events of a history as bytes are the same events, and nobody can tell."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.native import native_encoder
from gateway.fanout import continuity, cursor, sse
from gateway.fanout.ownership import new_owners
from gateway.fanout.raw_page import RawPage
from publisher.envelope import START, Event, Position, decode, encode, split
from tests.unit.hub_world import EPOCH, at, event

NAME = "job:j"
TYPES = ["tick", "job.progress", "job.created", "job.completed"]
DATA = [b"1", b'{"owner":"ann"}', b'{"owner":null}', '"\u2028ä"'.encode(), b"x" * 300]


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Mostly a chain; at times with a hole in it, or something that is none of it."""
    found: list[Event] = []
    seq = draw(st.sampled_from([0, 0, 3]))
    for _ in range(draw(st.integers(0, 8))):
        fate = draw(st.sampled_from([*["next"] * 12, "gap", "again", "other history", "other epoch"]))
        seq += {"gap": 2, "again": 0}.get(fate, 1)
        said = event(
            NAME, max(seq, 1), type=draw(st.sampled_from(TYPES)), history="x" if fate == "other history" else "m"
        )
        epoch = "ABCDEFGH" if fate == "other epoch" else EPOCH
        found.append(said._replace(data=draw(st.sampled_from(DATA)), epoch=epoch))
    return found


positions = st.sampled_from([START, at(1), at(3), at(4), at(9), at(3, "x"), Position("ABCDEFGH", 3, "m00003")])


def page_of(events: list[Event]) -> RawPage:
    page = RawPage.of(NAME, [encode(each) for each in events])
    assert page is not None
    return page


@given(events=histories(), position=positions, top=st.sampled_from([None, at(4), at(6), at(8)]))
def test_a_raw_page_continues_what_its_events_continue(
    events: list[Event], position: Position, top: Position | None
) -> None:
    as_events = continuity.chain(position, events, top)
    as_page = continuity.chain(position, page_of(events), top)
    assert (None if as_page is None else list(as_page)) == as_events


@given(events=histories())
def test_a_raw_page_says_what_its_events_say(events: list[Event]) -> None:
    page, tag = page_of(events), cursor.tag(NAME)
    worded = native_encoder(False, False).frames(cursor.event_parts(tag, events), events)
    assert worded is not None
    assert page.frames(sse.ID, tag.encode()) == [sse.ID + frame for frame in worded]
    assert new_owners(page) == new_owners(events)
    assert list(page) == events
    assert list(page[1:]) == events[1:]


usual = histories().map(lambda events: [encode(each) for each in events])
strange = st.sampled_from(
    [b"", b"broken", b"1\n", encode(event(NAME, 2)._replace(id="own")), encode(event(NAME, 2)) * 2]
)
cuts = st.integers(0, 60)


@given(messages=usual, other=strange | st.binary(max_size=40), at_message=st.integers(0, 8), cut=cuts)
def test_a_page_is_read_in_one_go_only_where_each_message_can_be_read_so(
    messages: list[bytes], other: bytes, at_message: int, cut: int
) -> None:
    """Also where what is broken in one message would be mended by the next one."""
    for spoilt in (
        [*messages[:at_message], other, *messages[at_message:]],
        [*messages[:at_message], other[:cut], other[cut:], *messages[at_message:]],
        [each[:cut] if number == at_message else each for number, each in enumerate(messages)],
        [each + b"\n" if number == at_message else each for number, each in enumerate(messages)],
        [each + b"\r" if number == at_message else each for number, each in enumerate(messages)],
    ):
        raws = [split(message) for message in spoilt]
        page = RawPage.of(NAME, spoilt)
        if None in raws:
            assert page is None
        else:
            assert page is not None
            assert list(page) == [decode(NAME, message) for message in spoilt]


def test_half_an_event_and_the_rest_of_it_are_not_one() -> None:
    whole = encode(event(NAME, 1))
    head, _, data = whole.partition(b"\n")
    assert RawPage.of(NAME, [head, data + b"\n" + whole]) is None

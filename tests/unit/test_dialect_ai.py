"""The dialect ``ai``: what a stream says, where its ids stand, and what many streams of one answer share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.ai_encoder import AnswerEncoder
from publisher import channels as names
from publisher.job import Job
from tests.support.sse_parser import SseParser
from tests.support.ui_message import MessageReader
from tests.unit.answer_world import JOB_ID, Author, Said, author_of, event, job, steps

ENDS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "completed": (names.COMPLETED, {}, {"type": "finish"}),
    "failed": (
        names.FAILED,
        {"error": {"message": "Out of words"}},
        {"type": "error", "errorText": "Out of words"},
    ),
    "cancelled": (names.CANCELLED, {}, {"type": "abort"}),
}


def frames(encoder: AnswerEncoder, first: int, events: Sequence[Said]) -> list[bytes]:
    parts = [b"c%d" % (first + n) for n in range(len(events))]
    said = encoder.frames(parts, [event(first + n, each) for n, each in enumerate(events)])
    assert said is not None
    return said


def heard(blocks: Sequence[bytes]) -> list[Any]:
    parser = SseParser()
    found = [each.data for block in blocks for each in parser.feed(block)]
    return [data if data == "[DONE]" else orjson.loads(data) for data in found]


def test_a_fresh_stream_has_the_whole_message_with_its_pieces_joined_and_one_id() -> None:
    author = author_of([("text", "Hel"), ("text", "lo"), ("part", {"type": "data-a", "data": 1}), ("reasoning", "why")])
    encoder = AnswerEncoder()
    said = encoder.numbered(encoder.state(job(author.parts), 4), b"before", b"c4")
    assert heard(said) == [
        {"type": "start", "messageId": JOB_ID},
        {"type": "text-start", "id": "0"},
        {"type": "text-delta", "id": "0", "delta": "Hello"},
        {"type": "text-end", "id": "0"},
        {"type": "data-a", "data": 1},
        {"type": "reasoning-start", "id": "2"},
        {"type": "reasoning-delta", "id": "2", "delta": "why"},
    ]
    assert [block for block in said if b"id: " in block.split(b"data:")[0]] == said[-1:]
    assert said[-1].startswith(b"id: c4\ndata: ")


def test_an_answer_that_has_no_words_yet_has_begun() -> None:
    encoder = AnswerEncoder()
    assert heard(encoder.state(job([], "pending"), 1)) == [{"type": "start", "messageId": JOB_ID}]
    assert heard(frames(encoder, 2, [(names.STARTED, {"job_id": JOB_ID})])) == []


def test_an_id_stands_on_the_last_chunk_of_each_event() -> None:
    author = author_of([("text", "a"), ("part", {"type": "data-a", "data": 1}), ("other", None), ("text", "b")])
    encoder = AnswerEncoder()
    encoder.state(job([]), 0)
    said = frames(encoder, 1, author.events)
    assert [block.startswith(b"id: ") for block in said] == [False, True, False, True, False, True]
    assert [block.split(b"\n")[0] for block in said if block.startswith(b"id: ")] == [b"id: c1", b"id: c2", b"id: c4"]


@pytest.mark.parametrize("end", ENDS)
def test_the_end_is_told_live_and_later_alike(end: str) -> None:
    type_, more, last = ENDS[end]
    author = author_of([("text", "a")])
    live, late = AnswerEncoder(), AnswerEncoder()
    live.state(job([]), 0)
    data = {"job_id": JOB_ID, "status": end, **more}
    said = frames(live, 1, [*author.events, (type_, data)])
    assert heard(said)[-3:] == [{"type": "text-end", "id": "0"}, last, "[DONE]"]
    assert said[-1] == b"id: c2\ndata: [DONE]\n\n"
    assert heard(late.state(job(author.parts, end, **more), 2))[-3:] == heard(said)[-3:]


def test_a_failure_without_words_has_some() -> None:
    assert heard(AnswerEncoder().state(job([], "failed"), 1))[-2] == {"type": "error", "errorText": "The job failed."}


def others(*encoders: AnswerEncoder) -> Sequence[AnswerEncoder]:
    return encoders


def anybody(job: Job) -> bool:
    return True


@given(steps, steps)
def test_who_comes_to_a_live_answer_is_told_it_without_a_read_and_goes_on_with_all(
    before: list[Any], after: list[Any]
) -> None:
    author = author_of(before)
    live = AnswerEncoder()
    live.state(job([]), 0)
    frames(live, 1, author.events)
    late = AnswerEncoder()
    found = late.at_hand(others(live), anybody)
    assert found is not None
    said = late.state(found, len(author.events))
    assert late.together(others(live)) is live
    done = len(author.events)
    author.go_on(after)
    rest = frames(live, done + 1, author.events[done:])
    assert MessageReader().hear([*said, *rest]).parts == author.parts


def test_a_crowd_shares_what_was_encoded_once() -> None:
    author = author_of([("text", "a"), ("text", "b")])
    live = AnswerEncoder()
    live.state(job([]), 0)
    frames(live, 1, author.events)
    told = []
    for _ in range(3):
        late = AnswerEncoder()
        found = late.at_hand(others(live), anybody)
        assert found is not None
        told.append(late.state(found, 2))
    assert all(a is b for first, *rest in zip(*told, strict=True) for a in (first,) for b in rest)


def test_what_is_at_hand_is_not_for_who_may_not_have_it() -> None:
    live, stranger = AnswerEncoder(), AnswerEncoder()
    live.state(job(author_of([("text", "secret")]).parts), 1)
    assert stranger.at_hand(others(live), lambda job: False) is None
    assert heard(stranger.state(job([]), 0)) == [{"type": "start", "messageId": JOB_ID}]
    frames(live, 2, [(names.CREATED, {"job_id": JOB_ID, "owner": "somebody-else"})])
    assert stranger.at_hand(others(live), anybody) is None


@given(steps, st.data())
def test_who_fell_behind_goes_on_from_where_it_stood(done: list[Any], data: st.DataObject) -> None:
    author = author_of(done)
    at = data.draw(st.integers(0, len(author.events)))
    shared = AnswerEncoder()
    start = shared.state(job([]), 0)
    had = frames(shared, 1, author.events[:at])
    frames(shared, at + 1, author.events[at:])  # it had no room for these
    alone = shared.apart()
    assert isinstance(alone, AnswerEncoder)
    again = frames(alone, at + 1, author.events[at:])
    assert MessageReader().hear([*start, *had, *again]).parts == author.parts
    assert alone.together(others(shared)) is shared


# After a loss in Redis ---


@given(steps, st.data())
def test_an_answer_that_is_written_again_goes_on_where_the_stream_was(done: list[Any], data: st.DataObject) -> None:
    """Its worker writes the same again; what was told is not told twice."""
    author = author_of([("text", "x"), *done])
    at = data.draw(st.integers(1, len(author.events)))
    there = data.draw(st.integers(0, len(author.events)))
    encoder = AnswerEncoder()
    said = encoder.state(job([]), 0) + frames(encoder, 1, author.events[:at])
    anew = encoder.renewed(job(author.states[there]), there)
    assert anew is not None
    said += anew + frames(encoder, there + 1, author.events[there:])
    assert MessageReader().hear(said).parts == author.parts


def test_an_answer_that_is_gone_and_comes_again_goes_on_where_the_stream_was() -> None:
    author = author_of([("text", "Hello"), ("text", ", world"), ("part", {"type": "data-a", "data": 1})])
    encoder = AnswerEncoder()
    said = encoder.state(job([]), 0) + frames(encoder, 1, author.events[:2])
    said += frames(encoder, 1, [(names.CREATED, {"job_id": JOB_ID}), *author.events])
    assert MessageReader().hear(said).parts == author.parts


def other_answer() -> Author:
    return author_of([("text", "Quite another answer, and a longer one")])


def test_another_answer_is_not_gone_on_with() -> None:
    encoder = AnswerEncoder()
    encoder.state(job(author_of([("text", "Hello")]).parts), 1)
    assert encoder.renewed(job(other_answer().parts), 1) is None


@pytest.mark.parametrize("ended", [False, True])
def test_another_answer_that_comes_in_pieces_is_not_gone_on_with(ended: bool) -> None:
    encoder = AnswerEncoder()
    encoder.state(job(author_of([("text", "Hello")]).parts), 1)
    assert encoder.renewed(job([]), 0) == []
    more = [(names.COMPLETED, {"job_id": JOB_ID, "status": "completed"})] if ended else other_answer().events
    assert encoder.frames([b"c1"], [event(1, more[0])]) is None
    assert encoder.frames([b"c2"], [event(2, other_answer().events[0])]) is None


def test_who_falls_behind_while_an_answer_is_written_again_is_not_told_it_twice() -> None:
    author = author_of([("text", "Hello")])
    encoder = AnswerEncoder()
    encoder.state(job(author.parts), 1)
    assert encoder.renewed(job([]), 0) == []
    alone = encoder.apart()
    assert alone.frames([b"c1"], [event(1, author.events[0])]) is None


def test_a_cursor_that_does_not_fit_begins_anew() -> None:
    encoder = AnswerEncoder()
    odd = event(2, (names.TEXT, {"job_id": JOB_ID, "text": "a", "offset": 7}))
    assert not encoder.resumed(job(author_of([("text", "abc")]).parts), [odd], complete=True)
    again = encoder.renewed(job(author_of([("text", "abc")]).parts), 1)
    assert again is not None and heard(again)[0]["type"] == "start"

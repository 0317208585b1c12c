"""Which parts an answer takes, and how its pieces are counted, joined and split."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from publisher.core import parts
from publisher.core.pieces import PART, REASONING, TEXT, AnswerPiece, PieceRun, part_piece, split, text_piece
from publisher.exceptions import EventTooLarge

GOOD: list[dict[str, Any]] = [
    {"type": "data-weather", "data": {"c": 21}, "id": "w", "transient": True},
    {"type": "data-", "data": None},
    {"type": "tool-input-start", "toolCallId": "1", "toolName": "n", "dynamic": True},
    {"type": "tool-input-available", "toolCallId": "1", "toolName": "n", "input": None, "providerMetadata": {"a": {}}},
    {"type": "tool-input-error", "toolCallId": "1", "toolName": "n", "input": 5, "errorText": "e"},
    {"type": "source-url", "sourceId": "s", "url": "https://example.com", "title": "t"},
    {"type": "source-document", "sourceId": "s", "mediaType": "m", "title": "t", "filename": "f"},
    {"type": "file", "url": "data:", "mediaType": "image/png"},
    {"type": "start-step"},
    {"type": "finish-step", "anything": [1]},
    {"type": "message-metadata", "messageMetadata": {}},
    {"type": "data-x", "data": {"constructor": 1}},
]

WRONG: dict[str, Any] = {
    "no object": [1],
    "text": "data-x",
    "nothing": None,
    "without a type": {"data": 1},
    "a type that is none": {"type": 5},
    "unknown": {"type": "weather", "data": 1},
    "start": {"type": "start"},
    "finish": {"type": "finish"},
    "error": {"type": "error", "errorText": "e"},
    "abort": {"type": "abort"},
    "text-delta": {"type": "text-delta", "id": "1", "delta": "x"},
    "reasoning-start": {"type": "reasoning-start", "id": "1"},
    "a missing field": {"type": "source-url", "sourceId": "s"},
    "data without data": {"type": "data-x"},
    "a field of the wrong kind": {"type": "file", "url": 5, "mediaType": "m"},
    "an option that is null": {"type": "data-x", "data": 1, "id": None},
    "metadata that is flat": {"type": "file", "url": "u", "mediaType": "m", "providerMetadata": {"a": 1}},
    "__proto__": {"type": "data-x", "data": {"a": [{"__proto__": {}}]}},
    "a prototype": {"type": "data-x", "data": {"constructor": {"prototype": {}}}},
    "half a character": {"type": "data-x", "data": "\ud83d"},
    "half a character in a key": {"type": "data-x", "data": {"\udc00": 1}},
    "NaN": {"type": "data-x", "data": float("nan")},
    "no JSON": {"type": "data-x", "data": {1, 2}},
    "too deep": {"type": "data-x", "data": orjson.loads(b"[" * 31 + b"]" * 31)},
}


@pytest.mark.parametrize("part", GOOD, ids=[part["type"] for part in GOOD])
def test_a_chunk_of_the_message_stream_is_a_part(part: dict[str, Any]) -> None:
    assert orjson.loads(parts.check(part)) == part


@pytest.mark.parametrize("part", list(WRONG.values()), ids=list(WRONG))
def test_what_a_client_would_refuse_is_refused(part: Any) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        parts.check(part)


LATER: dict[str, dict[str, Any]] = {
    "tool-output-available": {"toolCallId": "1", "output": 5},
    "tool-output-error": {"toolCallId": "1", "errorText": "e"},
    "tool-output-denied": {"toolCallId": "1"},
    "tool-approval-request": {"toolCallId": "1", "approvalId": "a"},
    "tool-approval-response": {"approvalId": "a", "approved": True},
    "tool-input-delta": {"toolCallId": "1", "inputTextDelta": "{"},
}


@pytest.mark.parametrize("kind", list(LATER))
def test_what_belongs_to_a_tool_call_comes_after_it_has_begun(kind: str) -> None:
    part = {"type": kind, **LATER[kind]}
    parts.check(part)
    calls = parts.ToolCalls()
    calls.note({"type": "tool-input-start", "toolCallId": "other"})
    assert "has not begun" in str(calls.lacks(part))
    calls.note({"type": "tool-input-start", "toolCallId": "1"})
    calls.note({"type": "tool-approval-request", "toolCallId": "1", "approvalId": "a"})
    assert calls.lacks(part) is None


@given(st.lists(st.tuples(st.sampled_from([TEXT, REASONING]), st.text(max_size=30)), max_size=8), st.integers(12, 60))
def test_pieces_are_joined_and_split_without_changing_a_word(said: list[tuple[str, str]], limit: int) -> None:
    made = [text_piece(kind, words) for kind, words in said]
    run = PieceRun(limit)
    for piece in made:
        if piece is not None:
            run.add(piece)
    found = run.pieces()
    assert all(len(piece.body) <= limit for piece in found)
    for kind in (TEXT, REASONING):
        words = "".join(orjson.loads(b'"%b"' % piece.body) for piece in found if piece.kind == kind)
        assert words == "".join(text for k, text in said if k == kind)
        assert sum(piece.points for piece in found if piece.kind == kind) == len(words)
        assert sum(piece.size for piece in found if piece.kind == kind) == len(words.encode())


def test_neighbours_of_a_kind_are_one_piece_and_parts_stay_apart() -> None:
    run = PieceRun(100)
    for piece in (
        AnswerPiece(TEXT, b"a", 1, 1),
        AnswerPiece(TEXT, b"b", 1, 1),
        AnswerPiece(PART, b"{}", 2, 0),
        AnswerPiece(PART, b"{}", 2, 0),
    ):
        run.add(piece)
    run.add(AnswerPiece(TEXT, b"c", 1, 1))
    assert [piece.body for piece in run.pieces()] == [b"ab", b"{}", b"{}", b"c"]
    assert len(split(AnswerPiece(PART, b"x" * 500, 500, 0), 100)) == 1


def test_a_part_that_is_too_large_says_so() -> None:
    with pytest.raises(EventTooLarge):
        part_piece({"type": "data-x", "data": "x" * 200}, 100)

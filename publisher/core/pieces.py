"""Pieces of an answer on their way out: checked, counted, joined with their neighbours and split to size. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import orjson

from publisher import channels, jsontext
from publisher.core import parts

TEXT: Final = "text"
REASONING: Final = "reasoning"
PART: Final = "part"
MAX_ANSWER_BYTES: Final = 1024 * 1024
"""UTF-8 of text and reasoning, and JSON of parts, in one answer."""
_ENVELOPE: Final = 96
"""What an event has around a piece, beside the job's id."""
_LEAST: Final = 12
"""Bytes of JSON that one character may take."""


class AnswerPiece(NamedTuple):
    """``body`` is the inside of a JSON string, or a part's JSON; ``size`` what it counts of an answer's limit, and
    ``points`` its code points."""

    kind: str
    body: bytes
    size: int
    points: int


def room(job_id: str, max_event_bytes: int) -> int:
    """The longest body that fits into one event of the job."""
    return max(_LEAST, max_event_bytes - _ENVELOPE - len(jsontext.dump(job_id)))


def text_piece(kind: str, value: object) -> AnswerPiece | None:
    """Text as a piece; None where it is empty. Raises ``ValueError`` for what is no text, or half a character."""
    if type(value) is not str:
        if not isinstance(value, str):
            raise ValueError(f"A piece of an answer must be text, not {type(value).__name__}.")
        value = channels.plain(value)
    if not value:
        return None
    try:
        body = orjson.dumps(value)[1:-1]
    except orjson.JSONEncodeError:
        raise ValueError(
            "The text holds half of a character (a lone surrogate); keep that half until the other one has come."
        ) from None
    points = len(value)
    return AnswerPiece(kind, body, points if value.isascii() else len(value.encode()), points)


def part_piece(part: object, limit: int) -> AnswerPiece:
    """A part as a piece. Raises ``ValueError`` (:class:`EventTooLarge` among them)."""
    body = parts.check(part)
    jsontext.check_size(len(body), limit)
    return AnswerPiece(PART, body, len(body), 0)


def split(piece: AnswerPiece, limit: int) -> list[AnswerPiece]:
    """A piece of text as pieces whose bodies fit into ``limit`` bytes; a part is never split."""
    if len(piece.body) <= limit or piece.kind == PART:
        return [piece]
    words: str = orjson.loads(b'"%b"' % piece.body)
    half = len(words) // 2
    halves = (text_piece(piece.kind, words[:half]), text_piece(piece.kind, words[half:]))
    return [small for part in halves if part is not None for small in split(part, limit)]


class PieceRun:
    """Pieces in order, where neighbours of a kind grow together as long as they fit into one event."""

    def __init__(self, limit: int, pieces: Iterable[AnswerPiece] = ()) -> None:
        self.limit = limit
        self.length = 0
        """Bytes of all bodies."""
        self._done: list[AnswerPiece] = []
        self._kind = ""
        self._bodies: list[bytes] = []
        self._length = self._size = self._points = 0
        for piece in pieces:
            self.add(piece)

    def __bool__(self) -> bool:
        return bool(self._bodies) or bool(self._done)

    def __len__(self) -> int:
        """Events that it makes."""
        return len(self._done) + bool(self._bodies)

    def add(self, piece: AnswerPiece) -> None:
        kind, body, size, points = piece
        length = len(body)
        self.length += length
        if kind != self._kind or kind == PART or self._length + length > self.limit:
            self._close()
            self._kind = kind
            if length > self.limit and kind != PART:
                self._done += split(piece, self.limit)
                return
        self._bodies.append(body)
        self._length += length
        self._size += size
        self._points += points

    def pieces(self) -> list[AnswerPiece]:
        """All of them; further ones may still be added."""
        self._close()
        return self._done

    def _close(self) -> None:
        if self._bodies:
            self._done.append(AnswerPiece(self._kind, b"".join(self._bodies), self._size, self._points))
        self._bodies = []
        self._kind = ""
        self._length = self._size = self._points = 0

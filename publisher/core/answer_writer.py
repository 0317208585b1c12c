"""What a worker says in an answer, until it goes out: checked, counted, and gathered for a moment. Pure."""

from __future__ import annotations

import time
from typing import Any, Final

from publisher.core import parts
from publisher.core.answer_step import AT_ONCE, AnswerStep, WrittenAnswer
from publisher.core.options import Options
from publisher.core.pieces import MAX_ANSWER_BYTES, AnswerPiece, PieceRun, part_piece, room
from publisher.core.record import JobRecord
from publisher.exceptions import AnswerTooLong, finished

GATHER_S: Final = 0.05
"""Pieces go out at most this often, and none waits longer."""
MOST_BYTES: Final = 256 * 1024
"""So much does not wait for its moment."""


class AnswerWriter:
    """The pieces of one answer that have not gone out. The caller locks."""

    def __init__(self, options: Options, record: JobRecord) -> None:
        self._record = record
        self._limit = room(record.job_id, options.max_event_bytes)
        self._written = record.written = WrittenAnswer(record.worker, self._limit)
        self._run = PieceRun(self._limit)
        self._size = 0
        self.open_at = 0.0
        """When pieces may go out again (monotonic)."""
        self.said_under: Any = None
        """The span that the first of the pieces was said under that wait."""
        self.calls = parts.ToolCalls()
        self._recalled = False

    @property
    def waits(self) -> bool:
        """Whether something has not gone out."""
        return bool(self._run)

    @property
    def full(self) -> bool:
        """Whether so much waits that it is to go out, and its caller to wait until it has."""
        return self._run.length > MOST_BYTES or len(self._run) > AT_ONCE // 2

    def add(self, piece: AnswerPiece | None) -> bool:
        """Take a piece in; whether all that waits is to go out now. Raises :class:`AnswerTooLong` where there is no
        room for it, and :class:`JobFinished` (:class:`JobCancelled` among them) or :class:`JobExists` where the answer
        is no longer this worker's to write."""
        self.check()
        if piece is None:
            return False
        if self._record.full or self._size + piece.size > MAX_ANSWER_BYTES:
            raise AnswerTooLong(self._size, MAX_ANSWER_BYTES)
        self._size += piece.size
        self._run.add(piece)
        return self.full or time.monotonic() >= self.open_at

    def check(self) -> None:
        """Raise where the answer is no longer this worker's to write."""
        record = self._record
        if record.ended:
            raise finished(record.job_id, record.ended)
        if record.deaf:
            error = record.error()
            assert error is not None
            raise error

    def part(self, part: object) -> AnswerPiece:
        """A part as a piece. Raises ``ValueError``, :class:`EventTooLarge` among them."""
        piece = part_piece(part, self._limit)
        assert isinstance(part, dict)
        lacks = self.calls.lacks(part)
        if lacks is not None:
            raise ValueError(lacks)
        return piece

    def asks_back(self, part: object) -> bool:
        """Whether a part may belong to a tool call that an earlier attempt has begun; says so once."""
        kind = part.get("type") if isinstance(part, dict) else None
        if self._record.attempt == 1 or self._recalled or not isinstance(kind, str) or kind not in parts.NEEDS:
            return False
        self._recalled = True
        return True

    def take(self, *, last: bool = False) -> AnswerStep | None:
        """What waits, or its beginning, as a step that is being sent; None where nothing does."""
        if not self._run:
            return None
        pieces = self._run.pieces()
        self._run = PieceRun(self._limit, pieces[AT_ONCE:])
        self.open_at = time.monotonic() + GATHER_S
        record = self._record
        step = AnswerStep(record.job_id, pieces[:AT_ONCE], self._written.size, self._written, record.owner, last)
        step.said_under = self.said_under
        return step

    def sent(self, step: AnswerStep) -> None:
        """It is in Redis, or waits for it."""
        self._written.add(step)

    def put_back(self, step: AnswerStep) -> None:
        """There was no room for it: it still waits."""
        self._run = PieceRun(self._limit, [*step.pieces, *self._run.pieces()])

    def forget(self) -> None:
        """What waits is somebody else's to send."""
        self._run = PieceRun(self._limit)

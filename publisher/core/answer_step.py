"""Some pieces of an answer that travel in one call, and all that one worker has written of it. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from publisher import channels, jsontext
from publisher.core.drafts import destination
from publisher.core.identity import new_epoch, new_uid
from publisher.core.options import Options
from publisher.core.pieces import MAX_ANSWER_BYTES, AnswerPiece, PieceRun
from publisher.core.requests import Call
from publisher.core.scripts import ANSWER_RETRY, AnswerArgs, ScriptName
from publisher.keys import answer_key

AT_ONCE: Final = 64
"""Events in one call: everybody else waits for it."""


class WrittenAnswer:
    """What one worker has written of its answer, so that what Redis loses can be written again.

    Places count the bytes of pieces. ``base`` is how many were there before this worker's first; None until Redis has
    said so.
    """

    def __init__(self, worker: str, limit: int) -> None:
        self.worker = worker
        self.limit = limit
        self.base: int | None = None
        self.size = 0
        self.full = False
        """Whether Redis has refused a piece because the answer is as long as it may be."""
        self._pieces: list[AnswerPiece] = []
        self._ends: list[int] = []

    def add(self, step: AnswerStep) -> None:
        """Pieces that are in Redis, or on their way."""
        for piece in step.pieces:
            self.size += piece.size
            self._pieces.append(piece)
            self._ends.append(self.size)

    def landed(self, step: AnswerStep, there: int) -> None:
        """Redis has so many bytes with this step."""
        if self.base is None:
            self.base = there - step.end

    def lost(self, job_id: str, there: int, before: int) -> Iterator[AnswerStep]:
        """What Redis no longer has of what was written up to ``before``, where it has ``there`` bytes."""
        done = max(0, there - (self.base or 0))
        first = bisect_left(self._ends, done + 1)
        while first < len(self._pieces) and self._ends[first] <= before:
            some = [
                self._pieces[n]
                for n in range(first, min(first + AT_ONCE, len(self._pieces)))
                if self._ends[n] <= before
            ]
            start = self._ends[first] - self._pieces[first].size
            yield AnswerStep(job_id, some, start, self)
            first += len(some)


@dataclass(slots=True)
class AnswerStep:
    """Checked pieces for one call. ``before`` is their place among what ``written`` knows; ``last`` says that the job's
    end follows, for which there is always room."""

    job_id: str
    pieces: list[AnswerPiece]
    before: int = 0
    written: WrittenAnswer | None = None
    owner: str | None = None
    last: bool = False
    epoch: str = field(default_factory=new_epoch)
    uids: list[str] = field(default_factory=list)
    tried: bool = False
    traceparent: str = ""

    @property
    def size(self) -> int:
        """Bytes that count of the answer's limit."""
        return sum(piece.size for piece in self.pieces)

    @property
    def end(self) -> int:
        return self.before + self.size

    def take_in(self, later: AnswerStep) -> bool:
        """Let the step behind this one travel with it; whether there was room. Not once this one has flown."""
        if len(self.pieces) + len(later.pieces) > AT_ONCE or self.written is None:
            return False
        run = PieceRun(self.written.limit, [*self.pieces, *later.pieces])
        self.pieces = run.pieces()
        self.last = self.last or later.last
        return True

    def call(self, options: Options) -> Call:
        """The call that appends them."""
        keys, pubsub = destination(options.prefix, channels.job_channel(self.job_id), options.db)
        written = self.written
        expected = -1 if written is None or written.base is None else written.base + self.before
        if len(self.uids) != len(self.pieces):
            self.uids = [new_uid() for _ in self.pieces]
        args = AnswerArgs(
            options.announce,
            pubsub,
            options.history_events,
            options.history_ttl_s,
            "1" if self.tried else "0",
            self.epoch,
            jsontext.dump(self.job_id),
            jsontext.dump(written.worker) if written is not None else "",
            expected,
            MAX_ANSWER_BYTES,
            self.traceparent,
        )
        pieces = (
            part
            for uid, piece in zip(self.uids, self.pieces, strict=True)
            for part in (uid, piece.kind, piece.body, piece.size, piece.points)
        )
        all_keys = (*keys, answer_key(options.prefix, channels.job_channel(self.job_id)))
        return Call(ScriptName.ANSWER, all_keys, (*args, *pieces), ANSWER_RETRY)

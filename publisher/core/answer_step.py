"""Some pieces of an answer that travel in one call, and all that one worker has written of it. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple

from publisher import channels, jsontext
from publisher.core.drafts import destination
from publisher.core.identity import new_names
from publisher.core.options import Options
from publisher.core.pieces import MAX_ANSWER_BYTES, AnswerPiece, PieceRun
from publisher.core.requests import Call
from publisher.core.scripts import ANSWER_RETRY, AnswerArgs, Arg, ScriptName
from publisher.keys import answer_key

AT_ONCE: Final = 64
"""Events in one call: everybody else waits for it."""


class WrittenAnswer:
    """What one worker has written of its answer, so that what Redis loses can be written again.

    Places count the bytes of pieces. ``base`` is how many were there before this worker's first; None until Redis has
    said so.
    """

    def __init__(self, worker: str, limit: int) -> None:
        self.worker_json = jsontext.dump(worker)
        self.limit = limit
        self.base: int | None = None
        self.size = 0
        self.full = False
        """Whether Redis has refused a piece because the answer is as long as it may be."""
        self._pieces: list[tuple[Any, ...]] = []
        """Mere tuples, which the garbage collector does not look at again: there are thousands in a long answer, and
        all answers of a worker would wait for it."""
        self._ends: list[int] = []

    def add(self, step: AnswerStep) -> None:
        """Pieces that are in Redis, or on their way."""
        for piece in step.pieces:
            self.size += piece.size
            self._pieces.append(tuple(piece))
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
                AnswerPiece._make(self._pieces[n])
                for n in range(first, min(first + AT_ONCE, len(self._pieces)))
                if self._ends[n] <= before
            ]
            start = self._ends[first] - some[0].size
            yield AnswerStep(job_id, some, start, self)
            first += len(some)


@dataclass(slots=True)
class AnswerStep:
    """Checked pieces for one call; none only ask whether all is there that was before them. ``before`` is their place
    among what ``written`` knows; ``last`` says that the job's end follows, for which there is always room."""

    job_id: str
    pieces: list[AnswerPiece]
    before: int = 0
    written: WrittenAnswer | None = None
    owner: str | None = None
    last: bool = False
    epoch: str = ""
    uids: list[str] = field(default_factory=list)
    tried: bool = False
    traceparent: str = ""
    said_under: Any = None
    """The span that the first of them was said under."""

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
        place, written = _place(options.prefix, self.job_id, options.db), self.written
        if len(self.uids) != len(self.pieces):
            self.epoch, self.uids = new_names(len(self.pieces))
        args: list[Arg] = [
            *AnswerArgs(
                options.announce,
                place.pubsub,
                options.history_events,
                options.history_ttl_s,
                "1" if self.tried else "0",
                self.epoch,
                place.job_id_json,
                written.worker_json if written is not None else "",
                -1 if written is None or written.base is None else written.base + self.before,
                MAX_ANSWER_BYTES,
                self.traceparent,
            )
        ]
        for uid, piece in zip(self.uids, self.pieces, strict=True):
            args.append(uid)
            args += piece
        return Call(ScriptName.ANSWER, place.keys, tuple(args), ANSWER_RETRY)


class _Place(NamedTuple):
    """Where an answer is in Redis, and its name as pieces say it."""

    keys: tuple[str, ...]
    pubsub: str
    job_id_json: bytes


@lru_cache(maxsize=4096)
def _place(prefix: str, job_id: str, db: int) -> _Place:
    channel = channels.job_channel(job_id)
    keys, pubsub = destination(prefix, channel, db)
    return _Place((*keys, answer_key(prefix, channel)), pubsub, jsontext.dump(job_id))

"""An answer as the UI message stream (v1) of the AI SDK."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, Final

from gateway.dialects import common
from gateway.dialects.ui_message import DONE, Addition, MessagePart, Regained, Telling, addition_of, chunk, told_before
from gateway.dialects.ui_transcript import Transcript
from gateway.fanout import sse
from gateway.fanout.encoder import Encoder
from publisher import channels as names
from publisher.envelope import Event
from publisher.job import Job

HEADERS: Final = ((b"x-vercel-ai-ui-message-stream", b"v1"),)


class AnswerEncoder(Encoder):
    """What a stream says depends on what it has said, so each has its own; those that are live on one answer have said
    the same, and share one.

    Its clients take every ``data:`` that is no chunk for a failure, and every clean end for completion.
    """

    name: ClassVar[str] = "ai"
    final: ClassVar[bool] = True
    breaks_off: ClassVar[bool] = True
    by_status: ClassVar[bool] = True
    shares_states: ClassVar[bool] = True
    id_start: ClassVar[bytes] = b""
    headers: ClassVar[tuple[tuple[bytes, bytes], ...]] = HEADERS

    def __init__(self) -> None:
        self._told: Telling | None = None
        """None: nothing yet."""
        self._before: Telling | None = None
        """What its streams had been told before the newest events: who had no room for these stands there."""
        self._transcript: Transcript | None = None
        self._job: Job | None = None
        self._regained: Regained | None = None
        """The answer as it is in Redis, while that has less of it than was told."""
        self._lost = False
        """What was told is no beginning of the answer that there is now."""
        self._at_hand: tuple[bytes, ...] = ()

    # What it says ---

    def state(self, job: Job, seq: int) -> list[bytes]:
        """The whole so far, in a stream that has said nothing yet."""
        ready, self._at_hand = self._at_hand, ()
        if ready and self._told is not None:
            return [*ready]
        self._told, self._job = Telling(), job
        said = [chunk("start", messageId=job.job_id), *self._told.rest(job.parts or ())]
        self._transcript = Transcript(said)
        return [*said, *self._ended(job)]

    def renewed(self, job: Job, seq: int) -> list[bytes] | None:
        told = self._told
        if told is None:
            return self.state(job, seq)
        self._before, self._job, self._regained = told.copy(), job, None
        parts = job.parts or ()
        if not told.is_within(parts) and not job.finished:
            self._regained = Regained(parts)
            return []
        said = self._goes_on(told, parts)
        return None if said is None else [*said, *self._ended(job)]

    def _goes_on(self, told: Telling, parts: Sequence[MessagePart]) -> list[bytes] | None:
        """What is left of an answer that was lost for a while; None where it is another one now."""
        if not told.begins(parts):
            self._lost = True
            return None
        said = told.rest(parts)
        if self._transcript is not None:
            self._transcript.add(said)
        return said

    def frames(self, parts: Sequence[bytes], events: Sequence[Event]) -> list[bytes] | None:
        if self._told is None:
            self._told = Telling()
        self._before = self._told.copy()
        said: list[bytes] = []
        for part, event in zip(parts, events, strict=True):
            blocks = self._blocks(self._told, event)
            self._lost = self._lost or blocks is None
            if self._lost or blocks is None:
                return None
            said += self.numbered(blocks, b"", part)
        return said

    def numbered(self, blocks: Sequence[bytes], before: bytes, after: bytes) -> list[bytes]:
        """An id stands on the last chunk only: who is cut off before it is told all of them again."""
        return [*blocks[:-1], b"%b%b\n%b" % (sse.ID, after, blocks[-1])] if blocks else []

    def _blocks(self, told: Telling, event: Event) -> list[bytes] | None:
        if event.type in (names.TEXT, names.PART):
            piece = addition_of(event.type, common.data_of(event))
            return [] if piece is None else self._added(told, piece)
        if event.type in names.TERMINAL_TYPES:
            self._transcript = None
            job = common.job_of(event)
            if self._regained is not None:
                return None
            return [] if job is None else self._ended(job)
        if event.type == names.CREATED:
            self._transcript = None  # it may be another one's now
            self._regained = Regained(()) if told.count else None
        return []

    def _added(self, told: Telling, piece: Addition) -> list[bytes] | None:
        if self._regained is None and told.fits(piece):
            said = told.piece(piece)
            if self._transcript is not None:
                self._transcript.add(said)
            return said
        if self._regained is None or not self._regained.fits(piece):
            # Its worker has found that Redis had lost it, and begins anew; nothing else comes out of turn.
            if not piece.is_first:
                return None
            self._regained = Regained(())
        self._regained.add(piece)
        if not told.is_within(self._regained.parts):
            return []
        regained, self._regained = self._regained, None
        return self._goes_on(told, regained.parts)

    def _ended(self, job: Job) -> list[bytes]:
        assert self._told is not None
        if not job.finished:
            return []
        return [*self._told.end(), _last(job), DONE]

    # Where it stands ---

    def resumed(self, job: Job, missed: Sequence[Event], *, complete: bool) -> bool:
        data = [(event.type, common.data_of(event)) for event in missed]
        self._told = told_before(job.parts or (), data, complete=complete)
        return self._told is not None

    def at_hand(self, others: Iterable[Encoder], admits: Callable[[Job], bool]) -> Job | None:
        for other in others:
            if isinstance(other, AnswerEncoder) and other._transcript and other._told and other._job:
                if other._regained is not None or not admits(other._job):
                    return None
                self._at_hand, self._told = other._transcript.whole(), other._told.copy()
                return other._job
        return None

    def together(self, others: Iterable[Encoder]) -> Encoder:
        for other in others:
            if isinstance(other, AnswerEncoder) and self._stands_with(other):
                if other._transcript is None:
                    other._transcript, other._job = self._transcript, self._job
                return other
        return self

    def apart(self) -> Encoder:
        alone = AnswerEncoder()
        stands = self._before or self._told
        alone._told = stands and stands.copy()
        alone._lost = self._lost or self._regained is not None  # it would take what is written again for new
        return alone

    def _stands_with(self, other: AnswerEncoder) -> bool:
        """Whether both have said the same, so that they go on with the same."""
        whole = self._regained is None and other._regained is None
        return whole and self._told is not None and other._told is not None and self._told.place == other._told.place


def _last(job: Job) -> bytes:
    """How it ended."""
    if job.status == "completed":
        return chunk("finish")
    if job.status == "cancelled":
        return chunk("abort")
    return chunk("error", errorText=common.reason(job))

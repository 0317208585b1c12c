"""What a blocking and an asyncio job handle share: the job's record, its steps, and how an exception reads."""

from __future__ import annotations

import time
from operator import length_hint
from typing import Any, Final

from publisher import channels, steps
from publisher.calls import Step
from publisher.exceptions import JobCancelled, finished
from publisher.options import Options
from publisher.record import Entry, JobRecord
from publisher.tracing import Tracing

TRACK_S: Final = 0.1
"""track() reports at most this often."""
LOOK_S: Final = 1.0
"""raise_if_cancelled() reads the status at most this often."""
LOOK_AFTER_ERROR_S: Final = 5.0
MAX_REASON: Final = 2000
"""Characters of an exception's message that go into a failed job."""


class Handle:
    """The part of a job handle that needs no Redis."""

    def __init__(self, options: Options, birth: Step) -> None:
        self._options = options
        self._birth = birth
        self._record = JobRecord(birth)
        self._channel = channels.job_channel(birth.job_id)
        self._tracing = Tracing()
        self._next_look = 0.0

    @property
    def job_id(self) -> str:
        return self._record.job_id

    @property
    def owner(self) -> str | None:
        return self._record.owner

    @property
    def cancelled(self) -> bool:
        """Whether an answer from Redis has said so; :meth:`raise_if_cancelled` asks."""
        return self._record.cancelled

    def _admit(self, entry: Entry) -> bool:
        """Whether an entry is to be sent: not after the job was ended elsewhere. Raises :class:`JobFinished`
        where this handle ended it."""
        if self._record.ended:
            raise finished(self.job_id, self._record.ended)
        self._record.note(entry)
        return not self._record.deaf

    def _end_of(self, error: BaseException | None) -> Step | None:
        """The step that a ``with`` block ends with, or None where the job has its end."""
        if self._record.ended or (isinstance(error, JobCancelled) and error.job_id == self.job_id):
            return None
        if error is None:
            return steps.complete(self._options, self.job_id, self.owner)
        return steps.fail(self._options, self.job_id, self.owner, reason(error), code=type(error).__name__)

    def _fraction(self, done: int, total: float | None) -> Step:
        value = min(100.0, round(100 * done / total, 1)) if total else None
        return steps.progress(self._options, self.job_id, self.owner, value, current=done, total=total)

    def _may_look(self) -> bool:
        """Whether it is time to read the status again; counts as having done so."""
        now = time.monotonic()
        if now < self._next_look:
            return False
        self._next_look = now + LOOK_S
        return True

    def _look_failed(self) -> None:
        self._next_look = time.monotonic() + LOOK_AFTER_ERROR_S

    def _looked(self, status: bytes | None) -> None:
        if status == b'"cancelled"' and not self._record.ended:
            self._record.end_elsewhere("cancelled")

    def _raise_if_cancelled(self) -> None:
        if self._record.cancelled:
            raise JobCancelled(self.job_id)


class Throttle:
    """Lets something through at most every ``interval_s`` seconds."""

    def __init__(self, interval_s: float = TRACK_S) -> None:
        self._interval_s = interval_s
        self._next = 0.0

    def due(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._interval_s
        return True


def expected(iterable: Any, total: float | None) -> float | None:
    """How many items there will be, as far as anybody can tell."""
    if total is not None:
        return total
    return length_hint(iterable, 0) or None


def reason(error: BaseException) -> str:
    """An exception's message as a job's error: never too long, never unprintable, never empty."""
    try:
        words = str(error)
    except Exception:
        words = ""
    return words[:MAX_REASON].encode("utf-8", "replace").decode() or type(error).__name__

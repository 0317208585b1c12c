"""What a blocking and an asyncio job handle share: the job's record and its steps."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from operator import length_hint
from typing import Any, Final

from publisher import channels, jsontext
from publisher.core import steps
from publisher.core.drafts import Draft
from publisher.core.given import JobOptions, ProgressFields
from publisher.core.merge import Merge
from publisher.core.options import Options
from publisher.core.rate import RateEstimator
from publisher.core.record import Entry, JobRecord
from publisher.core.stages import Stages
from publisher.core.step import Step
from publisher.core.tracing import NOW, Tracing
from publisher.exceptions import BufferFull, JobCancelled, finished

TRACK_S: Final = 0.1
"""track() reports at most this often."""
LOOK_S: Final = 1.0
"""raise_if_cancelled() reads the status at most this often."""
PAUSE_LOOK_S: Final = 0.5
"""A worker that waits for a paused job asks this often whether it may go on."""
LOOK_AFTER_ERROR_S: Final = 5.0


class Handle:
    """The part of a job handle that needs no Redis."""

    def __init__(self, options: Options, birth: Step, held: JobOptions, *, renews: bool) -> None:
        self._merge = Merge(held.get("progress_interval_s", 0))
        if not renews:
            birth.lease = None  # nobody could renew it
        self._options = options
        self._birth = birth
        self._record = JobRecord(birth)
        self._channel = channels.job_channel(birth.job_id)
        self._tracing = Tracing()
        self._next_look = 0.0
        self.stops_work = False
        """Whether ``progress()`` raises :class:`JobCancelled` where the job has been cancelled; the queues'
        integrations set it."""
        self._rate = RateEstimator()
        self._stages = Stages()

    def __repr__(self) -> str:
        stands = self._record.ended or self._record.ended_elsewhere or "active"
        return f"<{type(self).__name__} {self.job_id!r} {stands}, attempt {self.attempt}>"

    @property
    def job_id(self) -> str:
        return self._record.job_id

    @property
    def owner(self) -> str | None:
        return self._record.owner

    @property
    def attempt(self) -> int:
        """Which try this is, from 1."""
        return self._record.attempt

    @property
    def cancelled(self) -> bool:
        """Whether an answer from Redis has said so; :meth:`raise_if_cancelled` asks."""
        return self._record.cancelled

    def _admit(self, entry: Entry) -> bool:
        """Whether an entry is to be sent: not after the job was ended elsewhere. Raises :class:`JobFinished`
        where this handle ended it."""
        if self._record.ended:
            raise finished(self.job_id, self._record.ended)
        if isinstance(entry, Step) and entry.ends:
            self._merge.into_end(entry)
        self._record.note(entry)
        return not self._record.deaf

    def _merged(self, step: Step) -> Step | None:
        """What is to be sent in place of a step of progress: None while it waits for the end of the interval. Raises
        :class:`JobFinished` where this handle ended the job."""
        if self._record.ended:
            raise finished(self.job_id, self._record.ended)
        due = self._merge.offer(step, time.monotonic())
        if due is None:
            step.said_under = self._tracing.current()
        return due

    @contextlib.contextmanager
    def _put_back(self, step: Step) -> Iterator[None]:
        """Let progress wait on where there is no room for it."""
        try:
            yield
        except BufferFull:
            if self._merge.interval_s and not self._record.ended:
                self._merge.put_back(step)
            raise

    def _span(self, entry: Entry) -> AbstractContextManager[str]:
        """The span of what is being sent: under the one that it was said under."""
        if isinstance(entry, Draft) or entry.said_under is NOW:
            return self._tracing.span(self._channel)
        return self._tracing.span_under(entry.said_under, self._channel)

    def _waiting(self) -> Step | None:
        """What waited for the end of the interval, if it may still be sent."""
        step = self._merge.take(time.monotonic())
        return None if self._record.ended else step

    def _end_of(self, error: BaseException | None) -> Step | None:
        """The step that a ``with`` block ends with, or None where the job has its end."""
        if self._record.ended or (isinstance(error, JobCancelled) and error.job_id == self.job_id):
            return None
        if error is None:
            return steps.complete(self._options, self.job_id, self.owner)
        if type(error).__name__ == "CancelledError" and not isinstance(error, Exception):  # asyncio's
            return steps.cancel(self.job_id, self.owner)
        return steps.failure(self._options, self.job_id, self.owner, error)

    def plan(self, weights: Mapping[str, float]) -> None:
        """Reserve shares of the job (inside a stage: of that stage) for the stages to come, in this order:
        ``job.plan({"load": 1, "render": 3})``. Raises ``ValueError``."""
        self._stages.plan(weights)

    def _progress(self, value: float | None, given: ProgressFields) -> Step:
        """The step for a worker's report: inside a stage its own percentage becomes the job's, and counts bring the
        pace with them."""
        step = steps.progress(self._options, self.job_id, self.owner, value, **given)
        if self._stages.inside:
            self._place(step, value, given)
        current = step.changes.get("current")
        if current is not None:
            total = jsontext.load(step.changes["total"]) if "total" in step.changes else None
            estimate = self._rate.update(jsontext.load(current), total, time.monotonic())
            if estimate is not None:
                step.changes["rate"] = jsontext.dump(estimate.rate)
                step.changes["eta_s"] = jsontext.dump(estimate.eta_s)
        return step

    def _place(self, step: Step, value: float | None, given: ProgressFields) -> None:
        """Say where in its stages the work is."""
        if value is not None:
            own = jsontext.load(step.changes["progress"])
            step.changes["progress"] = jsontext.dump(self._stages.overall(own))
        inner = given.get("stage")
        path = self._stages.path if inner is None else f"{self._stages.path}/{channels.plain(inner)}"
        step.changes["stage"] = jsontext.text(path, "stage")

    def _entered(self, name: str) -> Step:
        reached = self._stages.enter(name)
        self._rate = RateEstimator()
        return steps.progress(self._options, self.job_id, self.owner, reached, stage=self._stages.path)

    def _left(self) -> Step | None:
        """The step that says that a stage has filled its share; None where it had none."""
        reached = self._stages.leave()
        self._rate = RateEstimator()
        return None if reached is None else steps.progress(self._options, self.job_id, self.owner, reached)

    def _fraction(self, done: int, total: float | None) -> Step:
        value = min(100.0, round(100 * done / total, 1)) if total else None
        counts: ProgressFields = {"current": done} if total is None else {"current": done, "total": total}
        return self._progress(value, counts)

    def _may_look(self) -> bool:
        """Whether it is time to read the status again; counts as having done so."""
        now = time.monotonic()
        if now < self._next_look:
            return False
        self._next_look = now + LOOK_S
        return True

    def _look_failed(self) -> None:
        self._next_look = time.monotonic() + LOOK_AFTER_ERROR_S

    def _heed(self) -> None:
        if self.stops_work:
            self._raise_if_cancelled()

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
    """How many items there will be, as far as anybody can tell. Raises ``ValueError`` for what is no number."""
    if total is not None:
        return jsontext.real(total, "total")
    return length_hint(iterable, 0) or None

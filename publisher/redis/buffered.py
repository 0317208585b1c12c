"""The patient way of events: one try, and then they wait in memory. Jobs always go this way, plain events with
``on_error="buffer"``. Flows: what is decided here, both sides wait for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from publisher.core import flows, replies, reports
from publisher.core.batch import Batch
from publisher.core.drafts import Draft
from publisher.core.faults import Fault
from publisher.core.options import Options
from publisher.core.outbox import Waiting
from publisher.core.perform import Effects
from publisher.core.record import Entry, JobRecord
from publisher.core.replies import Receipt
from publisher.core.requests import Repair, SendMany
from publisher.exceptions import BufferFull
from publisher.redis import errors


class Queue(Protocol):
    """A flusher, as far as nobody has to wait for it."""

    @property
    def idle(self) -> bool: ...
    def add(self, entries: Sequence[Entry], record: JobRecord | None = None) -> None: ...


class Buffered:
    """No call takes longer than one short try. What is in the queue goes first: whatever was reported earlier must
    also arrive earlier, so a try is made only while nothing waits."""

    def __init__(self, options: Options, where: str, queue: Queue) -> None:
        self._options = options
        self._where = where
        self._queue = queue

    def publish(self, event: Draft) -> Effects[Receipt | None]:
        """Send a plain event or keep it. Raises :class:`PublishError` for trouble that waiting does not cure."""
        if self._queue.idle:
            call = event.call(self._options)
            event.tried = True  # before it leaves: from now on it may be in Redis, whatever comes back
            try:
                return replies.receipt(event, (yield call))
            except errors.ERRORS as error:
                yield from self._check(error, reports.name(event))
        self._queue.add([event])
        return None

    def publish_many(self, events: Sequence[Draft]) -> Effects[list[Receipt | None]]:
        """The same for a list: what did not arrive at once is kept, all of it or none."""
        batch = Batch([event.call(self._options) for event in events])
        if self._queue.idle:
            for event in events:
                event.tried = True
            yield from self._try(batch)
        arrived, kept = events[: len(batch.replies)], events[len(batch.replies) :]
        if kept:
            self._queue.add(kept)
        return [*replies.receipts(arrived, batch.replies), *(None for _ in kept)]

    def _try(self, batch: Batch) -> Effects[None]:
        try:
            error = batch.take((yield SendMany(batch.pending)))
        except errors.ERRORS as trouble:
            error = trouble
        if error is not None:
            yield from self._check(error, f"Event {len(batch.replies)} of the list")

    def _check(self, error: Exception, what: str) -> Effects[None]:
        """Raise for trouble that waiting does not cure."""
        yield Repair(error)
        fault = errors.fault_of(error)
        if fault in (Fault.DENIED, Fault.BROKEN):
            raise reports.unreachable(what, self._where, error, fault, self._options) from error

    def report(self, record: JobRecord, entry: Entry) -> Effects[None]:
        """Send what a job's worker reports, or keep it. Raises :class:`BufferFull`, and :class:`PublishError` only
        for a job that is just being opened by somebody whom Redis does not let in."""
        if self._queue.idle:
            try:
                outcome = yield from flows.deliver(self._options, record, entry)
            except errors.ERRORS as error:
                if not record.opened:
                    yield from self._check(error, reports.name(entry))
                if errors.fault_of(error) is Fault.BROKEN:
                    reports.given_up(entry, self._where, error)
                    return
                yield Repair(error)
            except BaseException:
                # Cut off in the middle: it may have arrived or not, and a job's end must not be lost over that.
                try:
                    self._queue.add([entry], record)
                except BufferFull as full:
                    reports.cut_off(entry, full)
                raise
            else:
                # Who opens a job is told by an exception, not by the log.
                settle = reports.settle if record.opened else reports.settle_quietly
                settle(entry, record, outcome)
                return
        self._queue.add([entry], record)

    def look(self, record: JobRecord) -> Effects[bool]:
        """One short try to read how a job stands; whether it worked. Not made while Redis is known to be away."""
        if not self._queue.idle:
            return False
        try:
            status, paused = yield flows.stands(self._options, record.job_id)
        except errors.ERRORS as error:
            yield Repair(error)
            return False
        record.stands(status, paused)
        return True


def bring(options: Options, where: str, waiting: Waiting) -> Effects[BaseException | None]:
    """Deliver one entry of the queue; returns the error where it has to be tried again."""
    entry, record = waiting.entry, waiting.record
    if record is not None and record.deaf:
        return None
    try:
        outcome = yield from flows.deliver(options, record, entry)
    except errors.ERRORS as error:
        yield Repair(error)
        if errors.fault_of(error) is not Fault.BROKEN:
            return error
        reports.given_up(entry, where, error)
        return None
    reports.settle(entry, record, outcome)
    return None

"""How an event gets out in the patient way: straight to Redis where nothing waits, else behind what waits."""

from __future__ import annotations

from collections.abc import Sequence

from publisher import calls, flows, reports, retry
from publisher.batch import Batch
from publisher.calls import Draft, Receipt
from publisher.flusher import Flusher, drive
from publisher.options import Options
from publisher.record import Entry, JobRecord
from publisher.retry import Fault
from publisher.transport import Transport


class Post:
    """One try, and then the buffer. No call takes longer than one short try."""

    def __init__(self, options: Options, transport: Transport, flusher: Flusher) -> None:
        self._options = options
        self._transport = transport
        self._flusher = flusher

    def publish(self, event: Draft) -> Receipt | None:
        """Send a plain event or keep it. Raises :class:`PublishError` for trouble that waiting does not cure."""
        if self._flusher.idle:
            call = event.call(self._options)
            event.tried = True
            try:
                return calls.receipt(event, self._transport.execute(call))
            except retry.ERRORS as error:
                self._check(error, reports.name(event))
        self._flusher.add([event])
        return None

    def publish_many(self, events: Sequence[Draft]) -> list[Receipt | None]:
        """The same for a list: what did not arrive at once is kept, all of it or none."""
        batch = Batch([event.call(self._options) for event in events])
        if self._flusher.idle:
            for event in events:
                event.tried = True
            self._try(batch)
        kept = events[len(batch.replies) :]
        if kept:
            self._flusher.add(kept)
        return [*calls.receipts(events[: len(batch.replies)], batch.replies), *(None for _ in kept)]

    def _try(self, batch: Batch) -> None:
        try:
            error = batch.take(self._transport.batch(batch.pending))
        except retry.ERRORS as trouble:
            error = trouble
        if error is not None:
            self._check(error, f"Event {len(batch.replies)} of the list")

    def _check(self, error: Exception, what: str) -> None:
        """Raise for trouble that waiting does not cure."""
        self._transport.repair(error)
        if retry.fault(error) in (Fault.DENIED, Fault.BROKEN):
            raise reports.unreachable(what, self._transport.where, error, self._options) from error

    def report(self, record: JobRecord, entry: Entry) -> None:
        """Send what a job's worker reports, or keep it. Raises :class:`BufferFull`, and :class:`PublishError` only
        for a job that is just being opened by somebody whom Redis does not let in."""
        if self._flusher.idle:
            try:
                answer = drive(flows.deliver(self._options, record, entry), self._transport.execute)
            except retry.ERRORS as error:
                if not record.opened:
                    self._check(error, reports.name(entry))
                if retry.fault(error) is Fault.BROKEN:
                    reports.given_up(entry, self._transport.where, error)
                    return
                self._transport.repair(error)
            except BaseException:
                # Cut off in the middle: it may have arrived or not, and a job's end must not be lost over that.
                self._flusher.add([entry], record)
                raise
            else:
                # Who opens a job is told by an exception, not by the log.
                settle = reports.settle if record.opened else reports.settle_quietly
                settle(entry, record, answer)
                return
        self._flusher.add([entry], record)

    def look(self, job_id: str) -> tuple[bool, bytes | None]:
        """One short try to read a job's status: whether it worked, and the status as JSON. None while Redis is
        known to be away."""
        if not self._flusher.idle:
            return False, None
        try:
            return True, self._transport.execute(flows.status_of(self._options, job_id))
        except retry.ERRORS as error:
            self._transport.repair(error)
            return False, None

    def settle(self, record: JobRecord) -> None:
        """Wait up to ``flush_timeout_s`` for the job's events to be in Redis; log where they are not."""
        timeout_s = self._options.flush_timeout_s
        if not record.deaf and not self._flusher.wait(timeout_s, record):
            reports.unfinished(record, timeout_s)

"""The background thread that brings waiting events to Redis, in order, for all of a publisher's handles."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any, TypeVar

from publisher import flows, reports, retry
from publisher.calls import Answer
from publisher.flows import Flow
from publisher.options import Options
from publisher.outbox import Outbox, Waiting
from publisher.record import Entry, JobRecord
from publisher.transport import Transport

T = TypeVar("T")


def drive(flow: Flow[T], execute: Any) -> T:
    """Run a flow to its end with a blocking ``execute(request)``."""
    try:
        request = next(flow)
        while True:
            request = flow.send(execute(request))
    except StopIteration as end:
        result: T = end.value
        return result


class Flusher:
    """An outbox and the thread that empties it. The thread lives only as long as something waits."""

    def __init__(self, options: Options, transport: Transport) -> None:
        self._options = options
        self._transport = transport
        self.after_fork()

    def after_fork(self) -> None:
        """Start with nothing: what waited is the parent's to send."""
        self._changed = threading.Condition()
        self._outbox = Outbox(self._options.buffer_events, self._options.buffer_bytes)
        self._thread: threading.Thread | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing waits, so that an event may go straight to Redis."""
        return not len(self._outbox)

    def add(self, entries: Sequence[Entry], record: JobRecord | None = None) -> None:
        """Let entries wait for their turn, all of them or none. Raises :class:`BufferFull`."""
        with self._changed:
            if len(entries) > 1:
                self._outbox.check_room(entries)
            for entry in entries:
                self._outbox.offer(entry, record)
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="sse-publisher", daemon=True)
                thread.start()
                self._thread = thread

    def wait(self, timeout_s: float, record: JobRecord | None = None) -> bool:
        """Wait until nothing waits any more, of this job or at all; False where that took too long."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waits(record), timeout_s)

    def _waits(self, record: JobRecord | None) -> bool:
        return self._outbox.waits(record) if record is not None else len(self._outbox) > 0

    def __len__(self) -> int:
        return len(self._outbox)

    def _run(self) -> None:
        attempt, away = 0, False
        while (waiting := self._next()) is not None:
            error = self._send(waiting)
            with self._changed:
                if error is None:
                    self._outbox.landed()
                    self._changed.notify_all()
                else:
                    self._outbox.grounded()
            if error is None:
                attempt = 0
                continue
            attempt += 1
            if not away:
                away = True
                reports.outage(self._transport.where, error)
            time.sleep(retry.backoff_s(attempt))
        if away:
            reports.recovered(self._transport.where)

    def _next(self) -> Waiting | None:
        with self._changed:
            waiting = self._outbox.head()
            if waiting is None:
                self._thread = None
        return waiting

    def _send(self, waiting: Waiting) -> BaseException | None:
        """Deliver one entry; return the error where it has to be tried again."""
        entry, record = waiting.entry, waiting.record
        if record is not None and record.deaf:
            return None
        try:
            answer: Answer = drive(flows.deliver(self._options, record, entry), self._transport.execute)
        except retry.ERRORS as error:
            self._transport.repair(error)
            if retry.fault(error) is not retry.Fault.BROKEN:
                return error
            reports.given_up(entry, self._transport.where, error)
            return None
        reports.settle(entry, record, answer)
        return None

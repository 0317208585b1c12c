"""Brings what a publisher and its handles say to Redis; the calling thread waits."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any, TypeVar

from publisher.blocking.driver import drive, perform
from publisher.blocking.flusher import Flusher
from publisher.blocking.later import Later
from publisher.blocking.transport import Transport
from publisher.core import replies, reports, requests
from publisher.core.drafts import Draft
from publisher.core.open_jobs import OpenJobs
from publisher.core.options import DIRECT_S, TRY_S, Options
from publisher.core.perform import Flow
from publisher.core.record import Entry, JobRecord
from publisher.core.replies import Receipt
from publisher.core.requests import Effect, Request
from publisher.redis import errors
from publisher.redis.buffered import Buffered
from publisher.redis.direct import Direct
from publisher.redis.renewals import Renewals

T = TypeVar("T")


class Sender:
    """A transport, the flusher of what waits for it, and the two ways that events may take."""

    def __init__(self, options: Options, transport: Transport) -> None:
        self._options = options
        self.where = transport.where
        self.renews = transport.renews
        self._transport = transport
        self._flusher = Flusher(options, transport, self)
        self._buffered = Buffered(options, transport.where, self._flusher)
        self._direct = Direct(options, transport.where)
        self._renewals = Renewals(options.prefix, transport.twin)
        self.later = Later(self)
        self._open = OpenJobs()
        self._no_calls()

    def _no_calls(self) -> None:
        self._calls = 0
        self._calls_changed = threading.Condition()

    @contextlib.contextmanager
    def _under_way(self) -> Iterator[None]:
        """What another thread does inside is waited for by :meth:`close`."""
        with self._calls_changed:
            self._calls += 1
        try:
            yield
        finally:
            with self._calls_changed:
                self._calls -= 1
                if not self._calls:
                    self._calls_changed.notify_all()

    def after_fork(self) -> None:
        """Start with nothing that the parent holds."""
        self._no_calls()
        self._transport.after_fork()
        self._flusher.after_fork()
        self._renewals.after_fork()
        self.later.after_fork()

    def close(self) -> None:
        """Wait up to ``flush_timeout_s`` for waiting events and let the connections go."""
        self.later.flush()
        self._renewals.close()
        timeout_s = self._options.flush_timeout_s
        with self._calls_changed:
            self._calls_changed.wait_for(lambda: not self._calls, timeout_s)
        if self._flusher.wait(timeout_s):
            self._transport.close()
        else:
            # The thread goes on as long as the process does, so it keeps its connections.
            reports.left_over(len(self._flusher), self._transport.where, timeout_s)

    def publish(self, event: Draft) -> Receipt | None:
        """Send a plain event, or keep it where the options say so."""
        if self._options.on_error == "buffer":
            with self._under_way():
                return drive(self._buffered.publish(event), self._perform)
        call = event.call(self._options)
        try:  # the way of nearly all events: no flow for what needs one only when it fails
            reply = self._transport.execute(call)
        except errors.ERRORS as error:
            reply = self._again(call, error, reports.name(event))
        return replies.receipt(event, reply)

    def publish_many(self, events: list[Draft]) -> list[Receipt | None]:
        """The same for a list, in one round trip."""
        way = self._buffered if self._options.on_error == "buffer" else self._direct
        return drive(way.publish_many(events), self._perform)

    def run(self, flow: Flow[T]) -> T:
        """Run a flow, each of whose requests is repeated for about 5 s."""
        return drive(flow, self._insist)

    def report(self, record: JobRecord, entry: Entry) -> None:
        """Send what a job's worker reports, or keep it."""
        with self._under_way():
            drive(self._buffered.report(record, entry), self._perform)

    def look(self, record: JobRecord) -> bool:
        """Let a record know how its job stands; whether one try to read it worked."""
        return drive(self._buffered.look(record), self._perform)

    def hold(self, record: JobRecord) -> None:
        """Renew the lease of a job that was opened, until it is released."""
        self._open.hold(record)
        self._renewals.hold(record)

    def release(self, record: JobRecord) -> None:
        """The worker has nothing to do with the job any more."""
        self._renewals.release(record)

    def keep(self, record: JobRecord, entry: Entry) -> None:
        """Let an entry wait for its turn: whoever should wait for it is being interrupted."""
        self._flusher.add([entry], record)

    def settle(self, record: JobRecord) -> None:
        """Wait up to ``flush_timeout_s`` for the job's events to be in Redis; log where they are not."""
        timeout_s = self._options.flush_timeout_s
        if not record.deaf and not self._flusher.wait(timeout_s, record):
            reports.unfinished(record, timeout_s)

    def _perform(self, effect: Effect) -> Any:
        return self._open.heard(effect, perform(self._transport, effect))

    def _insist(self, request: Request) -> Any:
        try:
            return self._open.heard(request, self._transport.execute(request))
        except errors.ERRORS as error:
            return self._again(request, error, requests.what(request))

    def _again(self, request: Request, error: Exception, what: str) -> Any:
        deadline = time.monotonic() + DIRECT_S - TRY_S  # the first try may have taken that long
        return drive(self._direct.again(request, error, what, deadline), self._perform)

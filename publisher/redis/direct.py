"""The direct way of events and questions: tried again for about 5 s while Redis is away, then an error. Flows: what is
decided here, both sides wait for.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import Any, Final

from publisher.core import replies, reports
from publisher.core.backoff import backoff_s
from publisher.core.batch import Batch
from publisher.core.drafts import Draft
from publisher.core.faults import Fault
from publisher.core.options import DIRECT_S, Options
from publisher.core.perform import Effects
from publisher.core.replies import Receipt
from publisher.core.requests import Call, Pause, Repair, Request, SendMany
from publisher.redis import errors

DIRECT_CAP_S: Final = 0.5
"""Longest pause between two tries."""


class Direct:
    """Raises :class:`PublishError` where time is up, or for trouble that waiting does not cure."""

    def __init__(self, options: Options, where: str) -> None:
        self._options = options
        self._where = where

    def again(self, request: Request, error: Exception, what: str, deadline: float) -> Effects[Any]:
        """Try a request again that failed with ``error``, until it works or ``deadline`` (monotonic) is over."""
        for attempt in itertools.count(1):
            yield from self._pause(attempt, deadline, error, what)
            if isinstance(request, Call):
                request = request.again()
            try:
                return (yield request)
            except errors.ERRORS as newer:
                error = newer

    def publish_many(self, events: Sequence[Draft]) -> Effects[list[Receipt | None]]:
        """Events in order. What follows a failure goes again, so that it does not overtake."""
        batch = Batch([event.call(self._options) for event in events])
        deadline = time.monotonic() + DIRECT_S
        for attempt in itertools.count(1):
            error: Exception | None
            try:
                error = batch.take((yield SendMany(batch.pending)))
            except errors.ERRORS as trouble:
                batch.lost()
                error = trouble
            if error is None:
                break
            yield from self._pause(attempt, deadline, error, f"Event {len(batch.replies)} of the list")
        return replies.receipts(events, batch.replies)

    def _pause(self, attempt: int, deadline: float, error: Exception, what: str) -> Effects[None]:
        """Wait for the next try. Raises :class:`PublishError` where there should be none."""
        yield Repair(error)
        delay = backoff_s(attempt, cap_s=DIRECT_CAP_S)
        fault = errors.fault_of(error)
        if fault is not Fault.AWAY or time.monotonic() + delay > deadline:
            raise reports.unreachable(what, self._where, error, fault, self._options) from error
        yield Pause(delay)

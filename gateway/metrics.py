"""Everything the node counts: plain integers, since some are on the hot path. ``gateway.exposition`` reads them."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from gateway.histogram import Histogram
from gateway.metric_labels import CLOSED, DIALECTS, RECONNECTS, REFUSED, RESETS, RESUMES, Values
from publisher.envelope import Event, MessageError

LATENCY_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
DURATION_BUCKETS: Final = (0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0)
LAG_BUCKETS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)

log = logging.getLogger("gateway.hub")


class Metrics:
    """One object per node, handed to everything that counts."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.opened = _zeros(DIALECTS)
        self.closed = _zeros(CLOSED)
        self.refused = _zeros(REFUSED)
        self.open_by_dialect = _zeros(DIALECTS)
        self.events_received = 0
        self.events_delivered = _zeros(DIALECTS)
        self.bytes_sent = 0
        self.resumes = _zeros(RESUMES)
        self.replayed = 0
        self.gaps_repaired = 0
        self.resets = _zeros(RESETS)
        self.reconnects = _zeros(RECONNECTS)
        self.durations = Histogram(DURATION_BUCKETS)
        self.latency = Histogram(LATENCY_BUCKETS)
        self.lag = Histogram(LAG_BUCKETS)
        self.probe_seconds = 0.0
        self.redis_up = False
        self.draining = False
        self.clock_offset: Callable[[], float] = lambda: 0.0
        self.channels: Callable[[], int] = lambda: 0
        self.queue_bytes: Callable[[], int] = lambda: 0
        self._unreadable_logged_at = 0.0

    def fanned_out(self, events: list[Event], listeners: int) -> None:
        """Published → handed to the sockets, by the clock of Redis."""
        if listeners:
            now = (time.time() - self.clock_offset()) * 1000
            for event in events:
                self.latency.observe(max(0.0, now - event.time) / 1000, listeners)

    def unreadable(self, channel: str, error: MessageError) -> None:
        """A message that is none; said at most every ten seconds, and never with its content."""
        now = time.monotonic()
        if now - self._unreadable_logged_at > 10:
            self._unreadable_logged_at = now
            log.warning("message.unreadable kind=%s %s", channel.partition(":")[0], error)

    def probed(self, seconds: float) -> None:
        self.probe_seconds = seconds

    def redis_is_up(self) -> None:
        self.redis_up = True

    def redis_down(self) -> None:
        self.redis_up = False

    def redis_lost(self, reason: str) -> None:
        self.redis_up = False
        self.reconnects[reason if reason in RECONNECTS else "closed"] += 1


def _zeros(values: Values) -> Counter[str]:
    """All of a label's values from the start: a rate would not see the first event of one that appears with it."""
    return Counter(dict.fromkeys(values, 0))

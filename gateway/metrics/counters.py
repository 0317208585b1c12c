"""Everything the node counts: plain integers, since some are on the hot path. ``metrics.exposition`` reads them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from typing import Final

from gateway.metrics.histogram import Histogram
from gateway.metrics.labels import CLOSED, DIALECTS, RECONNECTS, REFUSED, RESETS, RESUMES, Values
from gateway.metrics.unreadable import Unreadable

LATENCY_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
DURATION_BUCKETS: Final = (0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0)
LAG_BUCKETS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


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
        self.clock_offset_s = 0.0
        """This machine's clock minus the one of Redis."""
        self.channels = 0
        self.queue_bytes = 0
        """As of the last scrape: nobody counts it as it changes."""
        self.unreadable = Unreadable()

    def fanned_out(self, times: Iterable[int], listeners: int) -> None:
        """Published, at these ``times`` (ms) → handed to the sockets, by the clock of Redis."""
        if listeners:
            now = (time.time() - self.clock_offset_s) * 1000
            for published in times:
                self.latency.observe(max(0.0, now - published) / 1000, listeners)

    def probed(self, seconds: float) -> None:
        self.probe_seconds = seconds

    def redis_is_up(self) -> None:
        self.redis_up = True

    def redis_down(self) -> None:
        self.redis_up = False

    def redis_lost(self, reason: str) -> None:
        self.redis_up = False
        if reason != "refused":  # counted by itself, because most such connections never were up
            self.reconnects[reason if reason in RECONNECTS else "closed"] += 1

    def redis_refused(self) -> None:
        """Redis did not let this user listen."""
        self.redis_up = False
        self.reconnects["refused"] += 1


def _zeros(values: Values) -> Counter[str]:
    """All of a label's values from the start: a rate would not see the first event of one that appears with it."""
    return Counter(dict.fromkeys(values, 0))

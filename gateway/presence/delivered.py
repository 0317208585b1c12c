"""What one node has delivered since its start, as other nodes may read it. Pure.

Whoever wants rates subtracts two of them: counts only grow, and each says when it was taken.
"""

from __future__ import annotations

import re
import time
from typing import Final, NamedTuple, Self

from gateway.metrics.counters import LATENCY_BUCKETS, Metrics

_COUNTS: Final = re.compile(rb"[0-9]{1,15}(?: [0-9]{1,15}){1,40}")
BUCKETS: Final = len(LATENCY_BUCKETS) + 1


class Delivered(NamedTuple):
    """``at`` is in ms since the Unix epoch, ``latency`` counts deliveries per bucket of ``LATENCY_BUCKETS`` (in
    seconds), the last one is for everything above."""

    at: int
    events: int
    latency: tuple[int, ...]

    @classmethod
    def now(cls, metrics: Metrics) -> Self:
        events = sum(metrics.events_delivered.values())
        return cls(int(time.time() * 1000), events, metrics.latency.counts())

    @classmethod
    def parse(cls, text: bytes | None) -> Self:
        """The reverse of ``str``; nothing delivered where there is nothing, or nothing that can be read."""
        if not text or not _COUNTS.fullmatch(text):
            return cls.nothing()
        at, events, *latency = map(int, text.split(b" "))
        return cls(at, events, tuple(latency)) if len(latency) == BUCKETS else cls.nothing()

    @classmethod
    def nothing(cls) -> Self:
        return cls(0, 0, (0,) * BUCKETS)

    def __str__(self) -> str:
        return " ".join(map(str, (self.at, self.events, *self.latency)))

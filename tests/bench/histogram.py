"""Latencies by bucket, as the load client tells them, and what can be read off them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

Histogram = Counter[int]
"""Deliveries by the lower edge of their bucket in microseconds; a bucket is about 3 % wide."""


def parse(line: str) -> Histogram:
    """A histogram from ``MICROSECONDS:DELIVERIES …``."""
    pairs = (pair.split(":") for pair in line.split())
    return Counter({int(edge): int(count) for edge, count in pairs})


def merged(parts: Iterable[Histogram]) -> Histogram:
    total: Histogram = Counter()
    for part in parts:
        total.update(part)
    return total


def percentile(histogram: Histogram, percent: float) -> float:
    """Milliseconds within which so many percent arrived; NaN for an empty histogram."""
    needed, seen = histogram.total() * percent / 100, 0
    for edge in sorted(histogram):
        seen += histogram[edge]
        if seen >= needed:
            return edge / 1000
    return float("nan")

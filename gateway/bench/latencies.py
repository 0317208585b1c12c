"""Many durations in little memory, and their percentiles. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

UNIT_BITS: Final = 10
"""One step of the finest buckets is 2^10 ns, about a microsecond."""
EXACT_BITS: Final = 7
"""From 2^7 steps on, a bucket is 1/64 of its value wide: percentiles are right to less than 1 %."""
BUCKETS: Final = 64 * 48


class Latencies:
    """Durations in nanoseconds go in; percentiles in milliseconds come out."""

    def __init__(self) -> None:
        self._counts = [0] * BUCKETS
        self.count = 0
        self.longest_ns = 0

    def arrived(self, now_ns: int, sent_ns: Iterable[int]) -> None:
        """Durations from each of ``sent_ns`` to now. The hot path of the load client."""
        counts = self._counts
        for sent in sent_ns:
            steps = (now_ns - sent) >> UNIT_BITS
            shift = steps.bit_length() - EXACT_BITS
            counts[(shift << 6) + (steps >> shift) if shift > 0 else max(0, steps)] += 1
            self.count += 1
            if now_ns - sent > self.longest_ns:
                self.longest_ns = now_ns - sent

    def add(self, duration_ns: int) -> None:
        self.arrived(duration_ns, (0,))

    def percentile(self, percent: float) -> float | None:
        """In milliseconds; None where there is nothing."""
        if not self.count:
            return None
        wanted, seen = percent / 100 * self.count, 0
        for index, count in enumerate(self._counts):
            seen += count
            if count and seen >= wanted:
                return min(_middle_ns(index), self.longest_ns) / 1e6
        return self.longest_ns / 1e6

    def summary(self, percents: Iterable[float] = (50, 90, 99, 99.9)) -> dict[str, float | None]:
        """``{"p50": …, "max": …}`` in milliseconds."""
        found = {f"p{percent:g}": self.percentile(percent) for percent in percents}
        found["max"] = self.longest_ns / 1e6 if self.count else None
        return {name: None if value is None else round(value, 3) for name, value in found.items()}


def _middle_ns(index: int) -> float:
    if index < 1 << EXACT_BITS:
        return (index + 0.5) * (1 << UNIT_BITS)
    shift = (index >> 6) - 1
    return ((index - (shift << 6)) + 0.5) * (1 << (shift + UNIT_BITS))

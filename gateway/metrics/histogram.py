"""A histogram of plain numbers, cheap enough for the hot path."""

from __future__ import annotations

from bisect import bisect_left


class Histogram:
    """Counts observations by upper bound; one observation may stand for many (``weight``)."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.sum = 0.0
        self._counts = [0] * (len(bounds) + 1)

    def observe(self, value: float, weight: int = 1) -> None:
        self._counts[bisect_left(self.bounds, value)] += weight
        self.sum += value * weight

    def counts(self) -> tuple[int, ...]:
        """Observations per bucket; the last one is for everything above the highest bound."""
        return tuple(self._counts)

    def buckets(self) -> list[tuple[str, float]]:
        """Each upper bound with the number of observations up to it, as Prometheus wants them."""
        total = 0
        rows: list[tuple[str, float]] = []
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self._counts, strict=True):
            total += count
            rows.append((bound, total))
        return rows

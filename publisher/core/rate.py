"""How fast a job goes on, and when it will be done, from the counts that its worker reports. Pure."""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

WINDOW_S: Final = 30.0
"""Only what happened lately counts: a job's first items are rarely like its last."""
MIN_SPAN_S: Final = 0.5
"""No estimate from less than this: it would jump."""
MAX_SAMPLES: Final = 64


class Estimate(NamedTuple):
    """``rate`` in items per second; ``eta_s`` seconds to the end, None where no end is known."""

    rate: float
    eta_s: float | None


class RateEstimator:
    """Takes counts with their times (seconds, monotonic) and estimates."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque()

    def update(self, current: float, total: float | None, now: float) -> Estimate | None:
        """What can be said now; None before there is enough to go by. A count that falls begins anew."""
        samples = self._samples
        if samples and current < samples[-1][1]:
            samples.clear()
        if len(samples) > 1 and now - samples[-2][0] < WINDOW_S / MAX_SAMPLES:
            samples.pop()  # calls in a tight loop: keep the window's width, not each of them
        samples.append((now, current))
        while len(samples) > 2 and now - samples[0][0] > WINDOW_S:
            samples.popleft()
        span = now - samples[0][0]
        if span < MIN_SPAN_S:
            return None
        rate = (current - samples[0][1]) / span
        if rate <= 0:
            return Estimate(0.0, None)
        left = None if total is None else max(0.0, total - current) / rate
        return Estimate(float(f"{rate:.3g}"), None if left is None else round(left, 1))

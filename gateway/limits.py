"""What one node lets in: how many streams, and how many new ones per second."""

from __future__ import annotations

from gateway.closing import Closing
from gateway.exceptions import Refused


class Limits:
    """0 switches a limit off. The rate is a token bucket that holds one second's worth."""

    def __init__(self, max_connections: int, connect_rate_per_s: int) -> None:
        self._max = max_connections
        self._rate = connect_rate_per_s
        self._tokens = float(connect_rate_per_s)
        self._filled_at: float | None = None
        self.open = 0

    def enter(self, now: float) -> None:
        """Take a place; give it back with :meth:`leave`. Raises :class:`Refused`."""
        if self._max and self.open >= self._max:
            raise Refused(Closing.NODE_LIMIT)
        if self._rate and not self._take(now):
            raise Refused(Closing.RATE_LIMIT)
        self.open += 1

    def leave(self) -> None:
        self.open -= 1

    def _take(self, now: float) -> bool:
        elapsed = 0.0 if self._filled_at is None else max(0.0, now - self._filled_at)
        self._filled_at = now
        self._tokens = min(float(self._rate), self._tokens + elapsed * self._rate)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

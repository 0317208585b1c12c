"""What one node lets in: how many streams, and how many new ones per second."""

from __future__ import annotations

from collections import Counter
from typing import Final

from gateway.closing import Closing
from gateway.exceptions import Refused

FREQUENT: Final = 0.1
"""Who has asked for more than this share of a second's streams is frequent …"""
RESERVE: Final = 0.5
"""… and leaves this share of them to others, so that one restless client cannot take them all."""


class Limits:
    """0 switches a limit off. The rate is a token bucket that holds one second's worth."""

    def __init__(self, max_connections: int, connect_rate_per_s: int) -> None:
        self._max = max_connections
        self._rate = connect_rate_per_s
        self._tokens = float(connect_rate_per_s)
        self._filled_at: float | None = None
        self._asked: Counter[str] = Counter()
        """How often each user has asked in this second."""
        self._second = 0
        self.open = 0

    def enter(self, now: float, user_key: str) -> None:
        """Take a place; give it back with :meth:`leave`. Raises :class:`Refused`."""
        if self._max and self.open >= self._max:
            raise Refused(Closing.NODE_LIMIT)
        if self._rate and not self._take(now, user_key):
            raise Refused(Closing.RATE_LIMIT)
        self.open += 1

    def leave(self) -> None:
        self.open -= 1

    def _take(self, now: float, user_key: str) -> bool:
        elapsed = 0.0 if self._filled_at is None else max(0.0, now - self._filled_at)
        self._filled_at = now
        self._tokens = min(float(self._rate), self._tokens + elapsed * self._rate)
        if self._tokens < 1 + self._reserved(now, user_key):
            return False
        self._tokens -= 1
        return True

    def _reserved(self, now: float, user_key: str) -> float:
        """Tokens that this user has to leave to others."""
        if int(now) != self._second:
            self._second = int(now)
            self._asked.clear()
        self._asked[user_key] += 1
        return self._rate * RESERVE if self._asked[user_key] > max(1.0, self._rate * FREQUENT) else 0.0

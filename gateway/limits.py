"""What one node lets in: how many streams, how many new ones per second, and how many calls of one user at once."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Final

from gateway.closing import Closing
from gateway.exceptions import Refused, TooManyCalls

FREQUENT: Final = 0.1
"""Who has asked for more than this share of a second's streams is frequent …"""
RESERVE: Final = 0.5
"""… and leaves this share of them to others, so that one restless client cannot take them all."""
SOUGHT_JOBS: Final = 128
"""Jobs that one user's streams may look for in a second without finding them: each costs a subscription, a read and a
wait, whether its stream stays for the answer or not."""
CALLS_AT_ONCE: Final = 64
"""A browser asks for a handful; back ends, which hold the scope ``publish``, are not counted."""


class Limits:
    """0 switches a limit off. The rate is a token bucket that holds one second's worth."""

    def __init__(self, max_connections: int, connect_rate_per_s: int) -> None:
        self._max = max_connections
        self._rate = connect_rate_per_s
        self._tokens = float(connect_rate_per_s)
        self._filled_at: float | None = None
        self._asked: Counter[str] = Counter()
        """How often each user has asked in this second."""
        self._sought: Counter[str] = Counter()
        """How many jobs each user's streams have looked for in this second and not found."""
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

    def seek(self, user_key: str) -> None:
        """A stream of this user looks for a job."""
        self._sought[user_key] += 1

    def found(self, user_key: str) -> None:
        """The job is there."""
        if self._sought[user_key] > 0:  # the second may be another one
            self._sought[user_key] -= 1

    def _take(self, now: float, user_key: str) -> bool:
        if int(now) != self._second:
            self._second = int(now)
            self._asked.clear()
            self._sought.clear()
        if self._sought[user_key] > SOUGHT_JOBS:
            return False
        elapsed = 0.0 if self._filled_at is None else max(0.0, now - self._filled_at)
        self._filled_at = now
        self._tokens = min(float(self._rate), self._tokens + elapsed * self._rate)
        if self._tokens < 1 + self._reserved(user_key):
            return False
        self._tokens -= 1
        return True

    def _reserved(self, user_key: str) -> float:
        """Tokens that this user has to leave to others."""
        self._asked[user_key] += 1
        return self._rate * RESERVE if self._asked[user_key] > max(1.0, self._rate * FREQUENT) else 0.0


class CallPlaces:
    """Calls that are no streams, of one user at once. A call has its place until its answer has left: who asks a
    hundred times and reads slowly would hold a hundred answers."""

    def __init__(self, each: int = CALLS_AT_ONCE) -> None:
        self._each = each
        self._taken: Counter[str] = Counter()

    @contextlib.contextmanager
    def place(self, user_key: str) -> Iterator[None]:
        """Raises :class:`TooManyCalls`."""
        if self._taken[user_key] >= self._each:
            raise TooManyCalls(f"This user has {self._each} calls under way; wait for their answers first.")
        self._taken[user_key] += 1
        try:
            yield
        finally:
            self._taken[user_key] -= 1
            if not self._taken[user_key]:
                del self._taken[user_key]

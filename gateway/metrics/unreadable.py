"""What was found in Redis and could not be read: counted by kind, and said once in a while."""

from __future__ import annotations

import time
from collections import Counter
from typing import Final

from gateway.logs.log import Log
from gateway.metrics.labels import UNREADABLE

AGAIN_S: Final = 3600.0
"""A kind is said once, and again after this if it still comes."""

log = Log("gateway.redis")


class Unreadable:
    """Everything read from Redis is outside input: a row that makes no sense is passed over, and noted here."""

    def __init__(self) -> None:
        self.counts = Counter(dict.fromkeys(UNREADABLE, 0))
        self._said: dict[str, float] = {}

    def note(self, kind: str, count: int = 1, why: str = "") -> None:
        """``count`` rows of a kind out of ``labels.UNREADABLE`` were passed over. ``why`` must not repeat their
        content."""
        if not count:
            return
        self.counts[kind] += count
        now = time.monotonic()
        if now - self._said.get(kind, -AGAIN_S) >= AGAIN_S:
            self._said[kind] = now
            log.warning("redis.unreadable", kind=kind, words=why or UNREADABLE[kind])

"""How long to wait before the next try. Pure."""

from __future__ import annotations

import random
from typing import Final

# Not the module's own generator: a worker may have seeded that one, and forked workers would copy it and come back
# in step.
_jitter: Final = random.SystemRandom()


def backoff_s(attempt: int, *, base_s: float = 0.05, cap_s: float = 2.0, draw: float | None = None) -> float:
    """Seconds to wait after the given failed attempt (1, 2 …): full jitter below a doubling, capped limit.

    The jitter keeps workers that lost the same Redis from coming back in step. ``draw`` (0 to 1) is for tests.
    """
    limit = min(cap_s, base_s * 2.0 ** min(attempt, 30))
    return limit * (_jitter.random() if draw is None else draw)

"""What an error from Redis means for a publisher, and how long to wait before the next try. Pure."""

from __future__ import annotations

import enum
import random
from typing import Final

from redis import exceptions as redis_errors

ERRORS: Final = (redis_errors.RedisError, redis_errors.RedisClusterException, OSError)
"""Everything that redis-py raises when a call did not work."""

# Not the module's own generator: a worker may have seeded that one, and forked workers would copy it and come back
# in step.
_jitter: Final = random.SystemRandom()

_AWAY_WORDS: Final = frozenset({"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "UNBLOCKED"})
_FULL_WORDS: Final = frozenset({"OOM", "MISCONF", "NOREPLICAS"})
_DENIED_WORDS: Final = frozenset({"NOAUTH", "WRONGPASS", "NOPERM"})


class Fault(enum.Enum):
    """Why a call did not work. The value is the remedy."""

    AWAY = "Start Redis or check the URL and the network"
    FULL = "Give Redis room and check its log: it refuses writes"
    DENIED = "Check the user name, the password and the rights of this user in Redis"
    BROKEN = "Check that nothing else writes to the keys of this prefix"


def fault(error: BaseException) -> Fault:
    """Which kind of trouble an error of :data:`ERRORS` is. Only ``AWAY`` passes by itself."""
    word = str(error).partition(" ")[0]
    if isinstance(error, redis_errors.AuthenticationError | redis_errors.AuthorizationError):
        return Fault.DENIED
    if isinstance(error, redis_errors.NoPermissionError) or word in _DENIED_WORDS:
        return Fault.DENIED
    if isinstance(error, redis_errors.OutOfMemoryError) or word in _FULL_WORDS:
        return Fault.FULL
    if is_failover(error) or isinstance(error, _AWAY_TYPES) or word in _AWAY_WORDS:
        return Fault.AWAY
    return Fault.BROKEN


_AWAY_TYPES: Final = (
    redis_errors.ConnectionError,
    redis_errors.TimeoutError,
    redis_errors.ClusterDownError,
    redis_errors.TryAgainError,
    redis_errors.MovedError,
    redis_errors.AskError,
    redis_errors.NoScriptError,
    redis_errors.RedisClusterException,
    OSError,
)


def is_failover(error: BaseException) -> bool:
    """Whether the connections lead to a server that is no longer the primary: all must be made anew."""
    return isinstance(error, redis_errors.ReadOnlyError) or str(error).startswith("READONLY")


def backoff_s(attempt: int, *, base_s: float = 0.05, cap_s: float = 2.0, draw: float | None = None) -> float:
    """Seconds to wait after the given failed attempt (1, 2 …): full jitter below a doubling, capped limit.

    The jitter keeps workers that lost the same Redis from coming back in step. ``draw`` (0 to 1) is for tests.
    """
    limit = min(cap_s, base_s * 2.0 ** min(attempt, 30))
    return limit * (_jitter.random() if draw is None else draw)

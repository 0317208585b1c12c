"""What an error of redis-py means for a publisher. Pure."""

from __future__ import annotations

from typing import Final

from redis import exceptions as redis_errors

from publisher.core.faults import Fault

ERRORS: Final = (redis_errors.RedisError, redis_errors.RedisClusterException, OSError)
"""Everything that redis-py raises when a call did not work."""

_AWAY_WORDS: Final = frozenset({"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "UNBLOCKED"})
_FULL_WORDS: Final = frozenset({"OOM", "MISCONF", "NOREPLICAS"})
_DENIED_WORDS: Final = frozenset({"NOAUTH", "WRONGPASS", "NOPERM"})


def fault_of(error: BaseException) -> Fault:
    """Which kind of trouble an error of :data:`ERRORS` is. Only ``AWAY`` passes by itself."""
    word = str(error).partition(" ")[0]
    if isinstance(error, redis_errors.AuthenticationError | redis_errors.AuthorizationError):
        return Fault.DENIED
    if isinstance(error, redis_errors.NoPermissionError) or word in _DENIED_WORDS:
        return Fault.DENIED
    if isinstance(error, redis_errors.InvalidResponse):
        return Fault.NOT_REDIS
    if isinstance(error, redis_errors.OutOfMemoryError) or word in _FULL_WORDS:
        return Fault.FULL
    if is_failover(error) or isinstance(error, _AWAY_TYPES) or word in _AWAY_WORDS:
        return Fault.AWAY
    return Fault.BROKEN


_AWAY_TYPES: Final = (
    redis_errors.ConnectionError,
    redis_errors.TimeoutError,
    redis_errors.ClusterError,  # also what redis-py says after too many TRYAGAIN, while a slot moves
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

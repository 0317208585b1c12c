"""What an error of redis-py means for a publisher. Pure."""

from __future__ import annotations

import re
from typing import Final

from redis import exceptions as redis_errors

from publisher.core.faults import Fault

ERRORS: Final = (redis_errors.RedisError, redis_errors.RedisClusterException, OSError)
"""Everything that redis-py raises when a call did not work."""

_IN_SCRIPT: Final = re.compile(r"@user_script: ?\d+: -([A-Z]+) ")
_AWAY_WORDS: Final = frozenset({"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "UNBLOCKED"})
_FULL_WORDS: Final = frozenset({"OOM", "MISCONF", "NOREPLICAS"})
_DENIED_WORDS: Final = frozenset({"NOAUTH", "WRONGPASS", "NOPERM"})


def fault_of(error: BaseException) -> Fault:
    """Which kind of trouble an error of :data:`ERRORS` is. Only ``AWAY`` passes by itself."""
    word = _word(error)
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
    return isinstance(error, redis_errors.ReadOnlyError) or _word(error) == "READONLY"


def _word(error: BaseException) -> str:
    """The word that a server's error begins with. Redis before 7.0 puts the line of the script before it."""
    text = str(error)
    inside = _IN_SCRIPT.search(text)
    return inside[1] if inside else text.partition(" ")[0]

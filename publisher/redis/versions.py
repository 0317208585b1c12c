"""What differs between the versions of redis-py that the publisher works with: all from 5.2 on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import Any, Final

import redis
from redis.connection import AbstractConnection

_CONNECTION: Final = signature(AbstractConnection.__init__).parameters

NAMELESS: Final[dict[str, Any]] = (
    {"driver_info": None} if "driver_info" in _CONNECTION else {"lib_name": None, "lib_version": None}
)
"""What keeps a connection from sending CLIENT SETINFO: until redis-py 7.1 the second form."""


ONCE: Final[dict[str, Any]] = {"cluster_error_retry_attempts": 0} if redis.__version__.startswith("5.") else {}
"""What keeps a Cluster's client from repeating calls, beside its Retry: until redis-py 5 it counts for itself."""


def retries(retrying: Any) -> int:
    """How often a Cluster's client, or a connection, repeats a call."""
    attempts = getattr(retrying, "cluster_error_retry_attempts", None)  # until redis-py 5
    if attempts is not None:
        return int(attempts)
    retry = retrying.retry
    return int(retry.get_retries() if hasattr(retry, "get_retries") else retry._retries)


def opener(pool: Any) -> Callable[[], Any]:
    """How to take a connection from a pool: redis-py 5.2 wants to be told a command."""
    first = next(iter(signature(pool.get_connection).parameters.values()), None)
    if first is not None and first.kind is first.POSITIONAL_OR_KEYWORD and first.default is first.empty:
        return partial(pool.get_connection, "EVALSHA")
    take: Callable[[], Any] = pool.get_connection
    return take

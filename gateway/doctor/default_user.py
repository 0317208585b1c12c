"""Whether the user ``default`` lets anybody in without a password, past all other users: tried out, by connecting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import redis
from redis.exceptions import NoPermissionError, ResponseError
from redis.sentinel import SentinelConnectionPool

from gateway.doctor import rights
from gateway.doctor.finding import Finding, ok, problem
from publisher.keys import revoked_key
from publisher.redis.errors import ERRORS

CHECK: Final = "default user"
NAME: Final = "default"
_OF_SOMEBODY: Final = ("username", "password", "credential_provider", "connection_pool")
"""What a connection has of a user, and of Sentinel's pool."""


def examine(client: redis.Redis, prefix: str, user: str) -> Iterator[Finding]:
    """At most one finding; none where the server has no other user that the open one could undo."""
    if not _open_to_all(client, prefix):
        yield ok(CHECK, "nobody gets in without a password")
    elif user != NAME:
        yield problem(
            CHECK,
            f"it has no password: whoever reaches the server may do more than {user}",
            f"ACL SETUSER {NAME} off, or, where somebody needs it: ACL SETUSER {NAME} resetpass >PASSWORD",
        )
    elif _others(client):
        yield problem(
            CHECK,
            "it has no password, and this address uses it: whoever reaches the server may do more than its other users",
            f"Name another user in GATEWAY_REDIS_URL, then ACL SETUSER {NAME} off.",
        )


def _open_to_all(client: redis.Redis, prefix: str) -> bool:
    """Whether a connection without name and password may touch what is the nodes' alone."""
    stranger = _stranger(client)
    try:
        stranger.ping()
    except NoPermissionError:
        pass  # it is in, and may do something else perhaps
    except ERRORS:
        return False
    try:
        return rights.may(stranger, "EVAL", "return 1", 1, revoked_key(prefix))
    finally:
        stranger.close()


def _stranger(client: redis.Redis) -> redis.Redis:
    """A client of the same server that says of nobody that it is."""
    pool = client.connection_pool
    kwargs = {name: value for name, value in pool.connection_kwargs.items() if name not in _OF_SOMEBODY}
    kind: Any = pool.connection_class
    if isinstance(pool, SentinelConnectionPool):
        kwargs["host"], kwargs["port"] = pool.get_master_address()
        kind = redis.SSLConnection if issubclass(kind, redis.SSLConnection) else redis.Connection
    return redis.Redis.from_pool(redis.ConnectionPool(connection_class=kind, **kwargs))


def _others(client: redis.Redis) -> bool:
    try:
        found: Any = client.execute_command("ACL USERS")
    except ResponseError:  # an old server, or a user that may not ask
        return False
    return len(found) > 1

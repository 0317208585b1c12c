"""Redis clients as the publisher needs them: one short try per call and no retries of their own.

redis-py repeats a script call by itself, ten times by default, without saying so; a call whose answer came late
would announce its event twice. The publisher repeats calls itself and marks the repetition.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NamedTuple, TypeAlias, cast

import redis
import redis.asyncio
from redis.asyncio.cluster import ClusterNode as AsyncClusterNode
from redis.asyncio.cluster import RedisCluster as AsyncRedisCluster
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry
from redis.sentinel import Sentinel

from publisher.core.options import TRY_S
from publisher.redis import versions
from publisher.redis.address import Address, parse

# These have no types of their own.
_Node: Any = ClusterNode
_Sentinel: Any = Sentinel
_AsyncSentinel: Any = AsyncSentinel

_BLOCKING_TWINS: Final[dict[type, type]] = {
    redis.asyncio.Connection: redis.Connection,
    redis.asyncio.SSLConnection: redis.SSLConnection,
    redis.asyncio.UnixDomainSocketConnection: redis.UnixDomainSocketConnection,
}

Blocking: TypeAlias = redis.Redis | RedisCluster
Asyncio: TypeAlias = redis.asyncio.Redis | AsyncRedisCluster


def blocking(address: Address | str, *, timeout_s: float = TRY_S) -> Blocking:
    """A blocking client. Connects at the first call, except for Redis Cluster, which is asked for its layout at once.

    Raises ``ValueError`` for a bad URL.
    """
    place = address if isinstance(address, Address) else parse(address)
    kwargs = {**_kwargs(timeout_s), "retry": Retry(NoBackoff(), 0)}
    if place.cluster:
        nodes = [_Node(host, port) for host, port in place.hosts]
        heard: dict[str, Any] = {"redis_connect_func": _hear} if place.tls else {}
        return RedisCluster(startup_nodes=nodes, **_user(place), **_tls(place), **versions.ONCE, **heard, **kwargs)
    if place.tls:
        kwargs["redis_connect_func"] = _greet
    if place.sentinel:
        sentinel = _Sentinel(place.hosts, sentinel_kwargs={**_sentinel_user(place), **_tls(place), **kwargs}, **kwargs)
        return cast(redis.Redis, sentinel.master_for(place.service, db=place.db, **_user(place), **_tls(place)))
    return cast(redis.Redis, _from_url(redis.Redis, place, kwargs))


def _greet(connection: Any) -> None:
    """Begin a connection with TLS. After its handshake the server sends session tickets; as long as nothing has been
    read, redis-py from 8.1 on takes them for an answer that nobody asked for, and gives the connection up. Over a
    short way, such as loopback, four of ten were."""
    connection.on_connect()
    _hear(connection)


def _hear(connection: Any) -> None:
    if connection.username or connection.password or connection.credential_provider or connection.db:
        return  # the answer to AUTH or SELECT has been read
    with suppress(ResponseError):  # it is an answer, too
        connection.send_command("PING", check_health=False)
        connection.read_response()


def asyncio(address: Address | str, *, timeout_s: float = TRY_S) -> Asyncio:
    """An asyncio client. Connects at the first call. Raises ``ValueError`` for a bad URL."""
    place = address if isinstance(address, Address) else parse(address)
    kwargs = {**_kwargs(timeout_s), "retry": AsyncRetry(NoBackoff(), 0)}
    if place.cluster:
        nodes = [AsyncClusterNode(host, port) for host, port in place.hosts]
        return AsyncRedisCluster(startup_nodes=nodes, **_user(place), **_tls(place), **versions.ONCE, **kwargs)
    if place.sentinel:
        sentinel = _AsyncSentinel(
            place.hosts, sentinel_kwargs={**_sentinel_user(place), **_tls(place), **kwargs}, **kwargs
        )
        return cast(redis.asyncio.Redis, sentinel.master_for(place.service, db=place.db, **_user(place), **_tls(place)))
    return cast(redis.asyncio.Redis, _from_url(redis.asyncio.Redis, place, kwargs))


class Twin(NamedTuple):
    """A blocking client for a thread of the publisher's own. ``close`` leaves alone what is somebody else's."""

    client: Blocking
    close: Callable[[], object]


def twin(source: Address | Blocking | Asyncio) -> Twin | None:
    """A blocking client for the same Redis. None for what only its event loop can use: a client of ``redis.asyncio``
    that was made for Cluster or Sentinel, and a fake one."""
    if isinstance(source, Address):
        client = blocking(source)
        return Twin(client, client.close)
    if isinstance(source, RedisCluster):
        return Twin(source, lambda: None)
    if isinstance(source, AsyncRedisCluster):
        return None
    if isinstance(source, redis.Redis):
        client = redis.Redis(connection_pool=source.connection_pool)
        return Twin(client, client.close)
    pool = source.connection_pool
    kind = _BLOCKING_TWINS.get(pool.connection_class)
    if kind is None:
        return None
    kwargs = {**pool.connection_kwargs, "retry": Retry(NoBackoff(), 0)}
    if issubclass(kind, redis.SSLConnection):
        kwargs["redis_connect_func"] = _greet
    made = redis.ConnectionPool(connection_class=kind, **kwargs)
    return Twin(redis.Redis(connection_pool=made), made.disconnect)


def has_twin(client: Blocking | Asyncio) -> bool:
    """Whether :func:`twin` will make one of this client."""
    if isinstance(client, AsyncRedisCluster):
        return False
    return not isinstance(client, redis.asyncio.Redis) or client.connection_pool.connection_class in _BLOCKING_TWINS


def check(client: Any, *kinds: type[Any]) -> None:
    """Refuse a client of another kind, and one that repeats calls by itself or decodes replies. Raises ``ValueError``
    with the remedy."""
    if not isinstance(client, kinds):
        found = f"{type(client).__module__}.{type(client).__qualname__}"
        raise ValueError(
            "Publisher takes a client of redis (redis.Redis), AsyncPublisher one of redis.asyncio, and both make their "
            f"own with from_url(); this is {found}."
        )
    if _retries(client) != 0:
        raise ValueError(
            "The Redis client repeats calls by itself, which may publish an event twice. "
            "Make it with retry=Retry(NoBackoff(), 0), or use from_url(). (RedisCluster of redis-py 5 also wants "
            "cluster_error_retry_attempts=0.)"
        )
    if client.get_encoder().decode_responses:
        raise ValueError("The Redis client decodes replies; make it with decode_responses=False.")


def _retries(client: Any) -> int:
    """How often a client repeats a call. A connection knows best: options like ``retry_on_timeout`` count too."""
    if isinstance(client, RedisCluster | AsyncRedisCluster):
        return versions.retries(client)
    pool = client.connection_pool
    return versions.retries(pool.connection_class(**pool.connection_kwargs))


def database(client: Any) -> int:
    """The number of the database that a client works in; a Cluster has 0 only."""
    if isinstance(client, RedisCluster | AsyncRedisCluster):
        return 0
    return int(client.connection_pool.connection_kwargs.get("db") or 0)


def where(client: Any) -> str:
    """The place that a client talks to, without user and password."""
    if isinstance(client, RedisCluster | AsyncRedisCluster):
        return "a Redis Cluster"
    kwargs = client.connection_pool.connection_kwargs
    if "path" in kwargs:
        return f"unix://{kwargs['path']}"
    return f"{kwargs.get('host', 'localhost')}:{kwargs.get('port', 6379)}"


def _kwargs(timeout_s: float) -> dict[str, Any]:
    # CLIENT SETINFO is for nobody here, and where a user may not send it, each connection fills the log of the ACL.
    return {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "protocol": 2,
        **versions.NAMELESS,
    }


def _user(place: Address) -> dict[str, Any]:
    return {"username": place.username, "password": place.password}


def _sentinel_user(place: Address) -> dict[str, Any]:
    return {
        "username": place.options.get("sentinel_username"),
        "password": place.options.get("sentinel_password"),
    }


def _tls(place: Address) -> dict[str, Any]:
    return {"ssl": True, **place.tls_options} if place.tls else {}


def check_options(place: Address) -> None:
    """Raise ``ValueError`` where the URL has an option that redis-py does not take. Nothing is connected to."""
    if not place.cluster and not place.sentinel:  # whose options are known
        _from_url(redis.Redis, place, _kwargs(TRY_S))


def _from_url(kind: Any, place: Address, kwargs: dict[str, Any]) -> Any:
    try:
        client = kind.from_url(place.url, **kwargs)
        # An unknown option in the URL would come up at the first call only.
        client.connection_pool.connection_class(**client.connection_pool.connection_kwargs)
    except (TypeError, ValueError, LookupError, RedisError):
        raise ValueError("The Redis URL has an option or a value that redis-py does not know.") from None
    return client

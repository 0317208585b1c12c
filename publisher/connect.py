"""Redis clients as the publisher needs them: one short try per call and no retries of their own.

redis-py repeats a script call by itself, ten times by default, without saying so; a call whose answer came late
would announce its event twice. The publisher repeats calls itself and marks the repetition.
"""

from __future__ import annotations

from typing import Any, TypeAlias, cast

import redis
import redis.asyncio
from redis.asyncio.cluster import ClusterNode as AsyncClusterNode
from redis.asyncio.cluster import RedisCluster as AsyncRedisCluster
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.retry import Retry
from redis.sentinel import Sentinel

from publisher.address import Address, parse
from publisher.options import TRY_S

# These have no types of their own.
_Node: Any = ClusterNode
_Sentinel: Any = Sentinel
_AsyncSentinel: Any = AsyncSentinel

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
        return RedisCluster(startup_nodes=nodes, **_user(place), **_tls(place), **kwargs)
    if place.sentinel:
        sentinel = _Sentinel(place.hosts, sentinel_kwargs={**_sentinel_user(place), **_tls(place), **kwargs}, **kwargs)
        return cast(redis.Redis, sentinel.master_for(place.service, db=place.db, **_user(place), **_tls(place)))
    return cast(redis.Redis, _from_url(redis.Redis, place, kwargs))


def asyncio(address: Address | str, *, timeout_s: float = TRY_S) -> Asyncio:
    """An asyncio client. Connects at the first call. Raises ``ValueError`` for a bad URL."""
    place = address if isinstance(address, Address) else parse(address)
    kwargs = {**_kwargs(timeout_s), "retry": AsyncRetry(NoBackoff(), 0)}
    if place.cluster:
        nodes = [AsyncClusterNode(host, port) for host, port in place.hosts]
        return AsyncRedisCluster(startup_nodes=nodes, **_user(place), **_tls(place), **kwargs)
    if place.sentinel:
        sentinel = _AsyncSentinel(
            place.hosts, sentinel_kwargs={**_sentinel_user(place), **_tls(place), **kwargs}, **kwargs
        )
        return cast(redis.asyncio.Redis, sentinel.master_for(place.service, db=place.db, **_user(place), **_tls(place)))
    return cast(redis.asyncio.Redis, _from_url(redis.asyncio.Redis, place, kwargs))


def check(client: Any) -> None:
    """Refuse a client that repeats calls by itself or decodes replies. Raises ``ValueError`` with the remedy."""
    if _retries(client) != 0:
        raise ValueError(
            "The Redis client repeats calls by itself, which may publish an event twice. "
            "Make it with retry=Retry(NoBackoff(), 0), or use from_url()."
        )
    if client.get_encoder().decode_responses:
        raise ValueError("The Redis client decodes replies; make it with decode_responses=False.")


def _retries(client: Any) -> int:
    """How often a client repeats a call. A connection knows best: options like ``retry_on_timeout`` count too."""
    if isinstance(client, RedisCluster | AsyncRedisCluster):
        return int(client.retry.get_retries())
    pool = client.connection_pool
    return int(pool.connection_class(**pool.connection_kwargs).retry.get_retries())


def where(client: Any) -> str:
    """The place that a client talks to, without user and password."""
    if isinstance(client, RedisCluster | AsyncRedisCluster):
        return "a Redis Cluster"
    kwargs = client.connection_pool.connection_kwargs
    if "path" in kwargs:
        return f"unix://{kwargs['path']}"
    return f"{kwargs.get('host', 'localhost')}:{kwargs.get('port', 6379)}"


def _kwargs(timeout_s: float) -> dict[str, Any]:
    return {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s, "protocol": 2}


def _user(place: Address) -> dict[str, Any]:
    return {"username": place.username, "password": place.password}


def _sentinel_user(place: Address) -> dict[str, Any]:
    return {
        "username": place.options.get("sentinel_username"),
        "password": place.options.get("sentinel_password"),
    }


def _tls(place: Address) -> dict[str, Any]:
    return {"ssl": True} if place.tls else {}


def _from_url(kind: Any, place: Address, kwargs: dict[str, Any]) -> Any:
    try:
        client = kind.from_url(place.url, **kwargs)
        # An unknown option in the URL would come up at the first call only.
        client.connection_pool.connection_class(**client.connection_pool.connection_kwargs)
    except (TypeError, ValueError):
        raise ValueError("The Redis URL has an option or a value that redis-py does not know.") from None
    return client

"""One short try against Redis: requests in, replies out, errors of redis-py out. Repeating is up to the caller."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import redis
import redis.asyncio
from redis.asyncio.cluster import RedisCluster as AsyncRedisCluster
from redis.cluster import RedisCluster
from redis.exceptions import NoScriptError

from publisher import connect, retry
from publisher.address import Address, parse
from publisher.calls import Call, ReadState, Request
from publisher.cancellation import lost_cancellation_delivered
from publisher.closed import closed_is_connection_error

Result: TypeAlias = Any
"""A reply, or the error that one call of a batch ended with."""

PIPELINE = 1000
"""At most this many calls travel in one round trip."""


class Transport(Protocol):
    """What a publisher sends through. ``where`` names the place in errors, without a password."""

    where: str
    cluster: bool

    def execute(self, request: Request) -> Any: ...
    def batch(self, calls: Sequence[Call]) -> list[Result]: ...
    def repair(self, error: BaseException) -> None: ...
    def close(self) -> None: ...
    def after_fork(self) -> None: ...


class AsyncTransport(Protocol):
    """The same for asyncio."""

    where: str
    cluster: bool

    async def execute(self, request: Request) -> Any: ...
    async def batch(self, calls: Sequence[Call]) -> list[Result]: ...
    async def repair(self, error: BaseException) -> None: ...
    async def close(self) -> None: ...


class RedisTransport:
    """Blocking. Made from a URL it connects when it has to; a given client is not closed."""

    def __init__(self, source: str | connect.Blocking) -> None:
        self._client: connect.Blocking | None = None
        self._loaded = False
        if isinstance(source, str):
            address = parse(source)
            self._address: Address | None = address
            self.where, self.cluster = address.where, address.cluster
            if not self.cluster:
                self._client = connect.blocking(address)
        else:
            connect.check(source)
            self._address = None
            self._client = source
            self.where = connect.where(source)
            self.cluster = isinstance(source, RedisCluster)

    def client(self) -> connect.Blocking:
        """The client. Redis Cluster is asked for its layout here, at the first call, and not before."""
        if self._client is None:
            assert self._address is not None
            self._client = connect.blocking(self._address)
        return self._client

    def execute(self, request: Request) -> Any:
        client: Any = self._client
        if client is None:
            client = self.client()
        if isinstance(request, ReadState):
            return _read(client, request)
        script = request.script
        try:
            return client.execute_command("EVALSHA", script.sha, len(request.keys), *request.keys, *request.args)
        except NoScriptError:
            return client.execute_command("EVAL", script.source, len(request.keys), *request.keys, *request.args)

    def batch(self, calls: Sequence[Call]) -> list[Result]:
        """Send calls in order, one round trip per :data:`PIPELINE`; in Cluster one each."""
        client = self.client()
        if isinstance(client, RedisCluster):
            return self._one_by_one(calls)
        results: list[Result] = []
        for start in range(0, len(calls), PIPELINE):
            pipeline: Any = client.pipeline(transaction=False)
            for command in commands(calls[start : start + PIPELINE], self._loaded):
                pipeline.execute_command(*command)
            results += pipeline.execute(raise_on_error=False)
        self._loaded = not any(isinstance(result, NoScriptError) for result in results)
        return results

    def _one_by_one(self, calls: Sequence[Call]) -> list[Result]:
        """Cluster: what follows a failure is not sent, so that it does not overtake."""
        results: list[Result] = []
        for call in calls:
            try:
                results.append(self.execute(call))
            except retry.ERRORS as error:
                return results + [error] * (len(calls) - len(results))
        return results

    def repair(self, error: BaseException) -> None:
        """Drop the connections where they lead to a server that is no longer the primary."""
        client = self._client
        # A cluster client follows MOVED by itself.
        if retry.is_failover(error) and isinstance(client, redis.Redis):
            client.connection_pool.disconnect(inuse_connections=False)

    def close(self) -> None:
        if self._address is not None and self._client is not None:
            self._client.close()
            for scout in _sentinels(self._client):
                scout.close()

    def after_fork(self) -> None:
        # A lock inside the old client may have been held by a thread that does not exist here.
        if self._address is not None:
            self._client = None


class AsyncRedisTransport:
    """The same for asyncio."""

    def __init__(self, source: str | connect.Asyncio) -> None:
        self._loaded = False
        self._owned = isinstance(source, str)
        if isinstance(source, str):
            address = parse(source)
            self.where, self.cluster = address.where, address.cluster
            self._client = connect.asyncio(address)
        else:
            connect.check(source)
            self._client = source
            self.where = connect.where(source)
            self.cluster = isinstance(source, AsyncRedisCluster)
        self._layout = asyncio.Lock()
        self._laid_out = not self.cluster

    async def execute(self, request: Request) -> Any:
        if not self._laid_out:
            await self._ask_for_layout()
        try:
            with lost_cancellation_delivered():
                return await self._execute(request)
        except AttributeError as error:
            # What redis-py 8.1 says when another task replaces the nodes of a Cluster under a call.
            if not self.cluster:
                raise
            raise redis.ConnectionError("The cluster's layout changed during the call") from error

    async def _ask_for_layout(self) -> None:
        """Cluster: once, before the first call. Tasks that all found it missing would break each other."""
        async with self._layout:
            if not self._laid_out and isinstance(self._client, AsyncRedisCluster):
                await self._client.initialize()
            self._laid_out = True

    async def _execute(self, request: Request) -> Any:
        client: Any = self._client
        with closed_is_connection_error():
            if isinstance(request, ReadState):
                return await _read(client, request)
            script = request.script
            head = len(request.keys), *request.keys
            try:
                return await client.execute_command("EVALSHA", script.sha, *head, *request.args)
            except NoScriptError:
                return await client.execute_command("EVAL", script.source, *head, *request.args)

    async def batch(self, calls: Sequence[Call]) -> list[Result]:
        client = self._client
        if isinstance(client, AsyncRedisCluster):
            return await self._by_channel(calls)
        results: list[Result] = []
        for start in range(0, len(calls), PIPELINE):
            pipeline = client.pipeline(transaction=False)
            for command in commands(calls[start : start + PIPELINE], self._loaded):
                pipeline.execute_command(*command)
            with closed_is_connection_error(), lost_cancellation_delivered():
                results += await pipeline.execute(raise_on_error=False)
        self._loaded = not any(isinstance(result, NoScriptError) for result in results)
        return results

    async def _by_channel(self, calls: Sequence[Call]) -> list[Result]:
        """Cluster: channels side by side, the calls of one channel in order."""
        results: list[Result] = [None] * len(calls)
        lanes: dict[str, list[int]] = {}
        for index, call in enumerate(calls):
            lanes.setdefault(call.keys[0], []).append(index)

        async def lane(indexes: list[int]) -> None:
            failure: Exception | None = None
            for index in indexes:
                try:
                    # What follows a failure is not sent, so that it does not overtake.
                    results[index] = failure or await self.execute(calls[index])
                except retry.ERRORS as error:
                    results[index] = failure = error

        await asyncio.gather(*(lane(indexes) for indexes in lanes.values()))
        return results

    async def repair(self, error: BaseException) -> None:
        if retry.is_failover(error) and isinstance(self._client, redis.asyncio.Redis):
            await self._client.connection_pool.disconnect(inuse_connections=False)

    async def close(self) -> None:
        if self._owned:
            with contextlib.suppress(*retry.ERRORS):
                await self._client.aclose()
                for scout in _sentinels(self._client):
                    await scout.aclose()


def commands(calls: Sequence[Call], loaded: bool) -> list[tuple[Any, ...]]:
    """Calls as commands of a pipeline. Where the server may not know a script yet, its first call carries it:
    a call that came back with NOSCRIPT would be overtaken by those behind it."""
    known: set[str] = set()
    result: list[tuple[Any, ...]] = []
    for call in calls:
        script = call.script
        head = ("EVALSHA", script.sha) if loaded or script.sha in known else ("EVAL", script.source)
        known.add(script.sha)
        result.append((*head, len(call.keys), *call.keys, *call.args))
    return result


def _sentinels(client: Any) -> list[Any]:
    """The clients that a Sentinel's client asks for the primary; nobody else closes them."""
    manager = getattr(getattr(client, "connection_pool", None), "sentinel_manager", None)
    return list(manager.sentinels) if manager is not None else []


def _read(client: Any, request: ReadState) -> Any:
    if request.field is None:
        return client.hgetall(request.key)
    return client.hget(request.key, request.field)

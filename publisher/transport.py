"""One short try against Redis: requests in, replies out, errors of redis-py out. Repeating is up to the caller."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, Final, Protocol, TypeAlias

import redis
import redis.asyncio
from redis.asyncio.cluster import RedisCluster as AsyncRedisCluster
from redis.exceptions import NoScriptError

from publisher import connect, retry, wire
from publisher.address import parse
from publisher.bundles import Bundle, bundles
from publisher.calls import Call, Read, ReadState, Request
from publisher.cancellation import lost_cancellation_delivered
from publisher.closed import closed_is_connection_error
from publisher.line import AsyncLine

Result: TypeAlias = Any
"""A reply, or the error that one call of a batch ended with."""

IN_ONE_GO: Final = 64
"""Bundles in one round trip: their replies wait in the server's memory."""


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
        self._line = AsyncLine(self._client) if isinstance(self._client, redis.asyncio.Redis) else None
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
            if not isinstance(request, Call):
                return await read(client, request)
            if self._line is not None:
                return await self._ask(self._line, request)
            script = request.script
            head = len(request.keys), *request.keys
            try:
                return await client.execute_command("EVALSHA", script.sha, *head, *request.args)
            except NoScriptError:
                return await client.execute_command("EVAL", script.source, *head, *request.args)

    async def _ask(self, line: AsyncLine, call: Call) -> Any:
        (reply,) = await line.ask((wire.evalsha(call),))
        if isinstance(reply, NoScriptError):
            (reply,) = await line.ask((wire.evaluate(call),))
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def batch(self, calls: Sequence[Call]) -> list[Result]:
        """Send calls in order, in one round trip; in Cluster one per channel, side by side."""
        if self.cluster and not self._laid_out:
            await self._ask_for_layout()
        packs = bundles(calls, cluster=self.cluster)
        if self._line is None:
            return spread(len(calls), packs, await self._by_channel(packs))
        replies: list[Result] = []
        for start in range(0, len(packs), IN_ONE_GO):
            going = [pack.call for pack in packs[start : start + IN_ONE_GO]]
            with closed_is_connection_error(), lost_cancellation_delivered():
                replies += await self._line.ask(wire.packed(going, self._loaded))
            self._loaded = not any(isinstance(reply, NoScriptError) for reply in replies)
            failure = next((reply for reply in replies if isinstance(reply, Exception)), None)
            if failure is not None:  # what follows is not sent, so that it does not overtake
                return spread(len(calls), packs, [*replies, *[failure] * (len(packs) - len(replies))])
        return spread(len(calls), packs, replies)

    async def _by_channel(self, packs: Sequence[Bundle]) -> list[Result]:
        """Cluster: channels side by side, the calls of one channel in order."""
        results: list[Result] = [None] * len(packs)
        lanes: dict[str, list[int]] = {}
        for index, pack in enumerate(packs):
            lanes.setdefault(pack.call.keys[0], []).append(index)

        async def lane(indexes: list[int]) -> None:
            failure: Exception | None = None
            for index in indexes:
                try:
                    # What follows a failure is not sent, so that it does not overtake.
                    results[index] = failure or await self.execute(packs[index].call)
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
                for scout in sentinels(self._client):
                    await scout.aclose()


def spread(count: int, packs: Sequence[Bundle], replies: Sequence[Any]) -> list[Result]:
    """What each of ``count`` calls was answered, from the replies to the bundles that they travelled in."""
    results: list[Result] = [None] * count
    for pack, reply in zip(packs, replies, strict=True):
        for index, result in zip(pack.indexes, pack.results(reply), strict=True):
            results[index] = result
    return results


def sentinels(client: Any) -> list[Any]:
    """The clients that a Sentinel's client asks for the primary; nobody else closes them."""
    manager = getattr(getattr(client, "connection_pool", None), "sentinel_manager", None)
    return list(manager.sentinels) if manager is not None else []


def read(client: Any, request: ReadState | Read) -> Any:
    """Ask with a client of either kind; what comes back is a reply, or has to be awaited."""
    if isinstance(request, Read):
        return client.execute_command(*request.command)
    if request.field is None:
        return client.hgetall(request.key)
    return client.hget(request.key, request.field)

"""One short try against Redis: requests in, replies out, errors of redis-py out. Repeating is up to the caller."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, Protocol

import redis
import redis.asyncio
from redis.asyncio.cluster import RedisCluster as AsyncRedisCluster
from redis.exceptions import NoPermissionError, NoScriptError, ResponseError

from publisher.asyncio.pipeline import AsyncPooledPipeline
from publisher.core.bundles import Bundle, bundles
from publisher.core.hub_bridge import NO_HUB, HubBridge
from publisher.core.requests import Call, Request
from publisher.exceptions import PublisherError
from publisher.redis import connect, errors, packing
from publisher.redis.address import Address, parse
from publisher.redis.cancellation import lost_cancellation_delivered
from publisher.redis.closed import closed_is_connection_error
from publisher.redis.exchange import IN_ONE_GO, Result, nothing_there, read, sentinels, spread
from publisher.redis.scripts import lua


class AsyncTransport(Protocol):
    """What a publisher sends through. ``where`` names the place in errors, without a password; ``renews`` says whether
    a thread can renew leases there, ``round_trips`` how many of them may be under way at once."""

    where: str
    cluster: bool
    renews: bool
    round_trips: int
    db: int

    async def execute(self, request: Request) -> Any: ...
    async def batch(self, calls: Sequence[Call]) -> list[Result]: ...
    async def repair(self, error: BaseException) -> None: ...
    async def close(self) -> None: ...
    def move(self) -> None: ...
    def twin(self) -> connect.Twin | None: ...


class AsyncRedisTransport:
    """Made from a URL it connects at the first call. A given client is not closed."""

    def __init__(self, source: str | Address | connect.Asyncio) -> None:
        self._loaded = False
        self._hub = HubBridge()
        self._owned = isinstance(source, str | Address)
        if isinstance(source, str | Address):
            address = parse(source) if isinstance(source, str) else source
            self._address: Address | None = address
            self.where, self.cluster = address.where, address.cluster
            self._client = connect.asyncio(address)
        else:
            connect.check(source, redis.asyncio.Redis, AsyncRedisCluster)
            self._address = None
            self._client = source
            self.where = connect.where(source)
            self.cluster = isinstance(source, AsyncRedisCluster)
        self.db = connect.database(self._client)
        self.renews = self._address is not None or connect.has_twin(self._client)
        # In Cluster each goes to several nodes side by side. Other calls need connections, too.
        pool = None if isinstance(self._client, AsyncRedisCluster) else self._client.connection_pool
        self.round_trips = 1 if pool is None else max(1, pool.max_connections // 2)
        self._settle_in()

    def _settle_in(self) -> None:
        self._pipeline = AsyncPooledPipeline(self._client) if isinstance(self._client, redis.asyncio.Redis) else None
        self._layout = asyncio.Lock()
        self._laid_out = not self.cluster

    def move(self) -> None:
        """Work in the running event loop, with new connections. Raises :class:`PublisherError` for a client that was
        given: it belongs to the loop that is closed."""
        if self._address is None:
            raise PublisherError(
                "The Redis client of this AsyncPublisher belongs to an event loop that is closed. Make the client and "
                "the publisher inside each loop, or use AsyncPublisher.from_url()."
            )
        self._client = connect.asyncio(self._address)
        self._settle_in()

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
                try:
                    return await read(client, request)
                except ResponseError as error:
                    return nothing_there(request, error)
            if self._pipeline is not None:
                return await self._ask(self._pipeline, request)
            reply = await self._ask_cluster(client, request)
            await self._tell_hub(client, request, reply)
            return reply

    async def _tell_hub(self, client: Any, done: Call, reply: Any) -> None:
        """Cluster: what follows an event on a topic."""
        call = self._hub.call(done, reply)
        if call is not None:
            try:
                self._hub.heard(await self._ask_cluster(client, call))
            except NoPermissionError:
                self._hub.heard(NO_HUB)

    async def _ask_cluster(self, client: Any, call: Call) -> Any:
        script = lua(call.script)
        head = len(call.keys), *call.keys
        try:
            return await client.execute_command("EVALSHA", script.sha, *head, *call.args)
        except NoScriptError:
            return await client.execute_command("EVAL", script.source, *head, *call.args)

    async def _ask(self, line: AsyncPooledPipeline, call: Call) -> Any:
        (reply,) = await line.ask((packing.evalsha(call),))
        if isinstance(reply, NoScriptError):
            (reply,) = await line.ask((packing.evaluate(call),))
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def batch(self, calls: Sequence[Call]) -> list[Result]:
        """Send calls in order, in one round trip; in Cluster one per channel, side by side."""
        if self.cluster and not self._laid_out:
            await self._ask_for_layout()
        packs = bundles(calls, cluster=self.cluster)
        if self._pipeline is None:
            return spread(len(calls), packs, await self._by_channel(packs))
        replies: list[Result] = []
        for start in range(0, len(packs), IN_ONE_GO):
            going = [pack.call for pack in packs[start : start + IN_ONE_GO]]
            with closed_is_connection_error(), lost_cancellation_delivered():
                replies += await self._pipeline.ask(packing.packed(going, self._loaded))
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
                except errors.ERRORS as error:
                    results[index] = failure = error

        await asyncio.gather(*(lane(indexes) for indexes in lanes.values()))
        return results

    async def repair(self, error: BaseException) -> None:
        if errors.is_failover(error) and isinstance(self._client, redis.asyncio.Redis):
            await self._client.connection_pool.disconnect(inuse_connections=False)

    def twin(self) -> connect.Twin | None:
        """A client for the thread that renews leases."""
        return connect.twin(self._address or self._client)

    async def close(self) -> None:
        if self._owned:
            with contextlib.suppress(*errors.ERRORS):
                await self._client.aclose()
                for scout in sentinels(self._client):
                    await scout.aclose()

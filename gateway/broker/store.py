"""The node's way to Redis for commands: scripts, pipelines, and where to subscribe.

Topology, TLS, ACL, Sentinel and Cluster stay with redis-py; this adds what a node needs of it. Every call has a
bound in time, and a failure is always a :class:`~gateway.exceptions.StoreDown`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from redis.asyncio import Connection, Redis, RedisCluster, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.exceptions import NoScriptError, ReadOnlyError, ResponseError

from gateway.broker.pubsub_protocol import ServerAddress
from gateway.broker.script import Script
from gateway.exceptions import StoreDown
from publisher.asyncio.pipeline import AsyncPooledPipeline
from publisher.core.faults import Fault
from publisher.redis import packing
from publisher.redis.cancellation import lost_cancellation_delivered
from publisher.redis.closed import closed_is_connection_error
from publisher.redis.connect import database
from publisher.redis.errors import ERRORS, fault_of

CALL_TIMEOUT_S: Final = 5.0
AT_ONCE: Final = 64
"""Scripts under way at one primary of a Cluster, where each takes a connection: redis-py refuses more than 100."""
MAX_REASON: Final = 200
"""Characters of an error's own words in a log line."""
NodeClient = Redis | RedisCluster


def reason(error: BaseException) -> str:
    """What went wrong, for a line of the log."""
    kind, said = type(error).__name__, str(error)[:MAX_REASON].rstrip(".")
    return f"{kind}, {said}" if said else kind


class ReplyError(StoreDown):
    """Redis gave an answer of a shape that the script or command never gives."""


def is_wrong_type(error: StoreDown) -> bool:
    """Whether a call was refused because a key is of another type than it should be."""
    return "WRONGTYPE" in str(error.__cause__)


_MEND: Final = Script("mend")

ScriptCall = tuple[Sequence[str], Sequence[str | int | bytes]]
"""Keys and arguments of one script call."""


class Store:
    """Wraps the client that the publisher's ``connect`` made for the node's Redis URL."""

    def __init__(self, client: NodeClient) -> None:
        self.client = client
        self.cluster = isinstance(client, RedisCluster)
        self._line = AsyncPooledPipeline(client) if isinstance(client, Redis) else None
        self.db = database(client)
        self._lanes: dict[str, asyncio.Semaphore] = {}

    async def run(self, script: Script, call: ScriptCall) -> Any:
        """One script call. Raises :class:`StoreDown`."""
        result = (await self.run_many(script, [call]))[0]
        if isinstance(result, Exception):
            raise StoreDown(f"Redis refused a read: {result}") from result
        return result

    async def run_many(self, script: Script, calls: Sequence[ScriptCall]) -> list[Any]:
        """Many calls of one script in one round trip; an exception stands in the place of a call that failed alone.

        Raises :class:`StoreDown` if nothing came back.
        """
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                if self.cluster:
                    return await asyncio.gather(*[self._one(script, call) for call in calls], return_exceptions=True)
                results = await self._pipeline(script, calls)
                unknown = [index for index, result in enumerate(results) if isinstance(result, NoScriptError)]
                if unknown:
                    again = await self._pipeline(script, [calls[index] for index in unknown], send=True)
                    for index, result in zip(unknown, again, strict=True):
                        results[index] = result
                if any(isinstance(result, ReadOnlyError) for result in results):
                    await self.reconnect()
                return results
        except ERRORS as error:
            raise StoreDown(f"Redis did not answer: {reason(error)}.") from error

    async def _pipeline(self, script: Script, calls: Sequence[ScriptCall], *, send: bool = False) -> list[Any]:
        """``send``: the first call carries the script, and the others find it there."""
        assert self._line is not None
        # redis-py's own pipeline takes more time for its arguments than a script has in Redis.
        packed = [packing.script(script.sha, keys, args) for keys, args in calls]
        if send:
            keys, args = calls[0]
            packed[0] = packing.command(("EVAL", script.text, len(keys), *keys, *args))
        with closed_is_connection_error(), lost_cancellation_delivered():
            return await self._line.ask(packed)

    async def _one(self, script: Script, call: ScriptCall) -> Any:
        keys, args = call
        with closed_is_connection_error(), lost_cancellation_delivered():
            async with await self._lane(keys[0]):
                try:
                    return await self.client.evalsha(script.sha, len(keys), *keys, *args)
                except NoScriptError:
                    return await self.client.eval(script.text, len(keys), *keys, *args)

    async def _lane(self, key: str) -> asyncio.Semaphore:
        """The places at the primary that has this key."""
        assert isinstance(self.client, RedisCluster)
        await self.client.initialize()
        node = self.client.get_node_from_key(key)
        return self._lanes.setdefault(node.name if node else "", asyncio.Semaphore(AT_ONCE))

    async def command(self, *args: str | int | bytes) -> Any:
        """One plain command. Raises :class:`StoreDown`."""
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                with closed_is_connection_error(), lost_cancellation_delivered():
                    return await self.client.execute_command(*args)
        except ERRORS as error:
            raise StoreDown(f"Redis did not answer: {reason(error)}.") from error

    async def mend(self, keys: Mapping[str, str]) -> int:
        """Remove those keys that are not of the type given here (hash, stream, zset): nobody else would, and every
        further call would be refused. Returns how many. Raises :class:`StoreDown`."""
        return int(await self.run(_MEND, (list(keys), list(keys.values()))))

    async def ping(self) -> None:
        """Return when Redis, in Cluster each primary, has answered. Raises :class:`StoreDown`."""
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                with closed_is_connection_error(), lost_cancellation_delivered():
                    where = {"target_nodes": RedisCluster.PRIMARIES} if self.cluster else {}
                    await self.client.execute_command("PING", **where)
        except ResponseError as error:
            # It answered, if only that this user may not ask; but one that is busy with a script, say, serves nobody.
            if fault_of(error) is Fault.AWAY:
                raise StoreDown(f"Redis serves nobody now: {error}") from error
        except ERRORS as error:
            raise StoreDown(f"Redis did not answer: {reason(error)}.") from error

    async def reconnect(self) -> None:
        """Drop the connections: the server has become a replica, the next ones find the master."""
        if isinstance(self.client, Redis):
            await self.client.connection_pool.disconnect(inuse_connections=False)

    # Where to subscribe -----------------------------------------------------------------------------------------------

    async def endpoint(self, shard: str | None = None) -> ServerAddress:
        """Where to subscribe: the server, the present master, or in Cluster the primary named ``shard``.

        Raises :class:`StoreDown`.
        """
        if isinstance(self.client, RedisCluster):
            assert shard is not None
            host, _, port = shard.rpartition(":")
            kwargs = self.client.connection_kwargs
            return _endpoint(kwargs, host, int(port), tls=_is_tls(kwargs.get("connection_class", Connection)))
        pool = self.client.connection_pool
        if isinstance(pool, SentinelConnectionPool):
            try:
                host, port = await pool.get_master_address()
            except ERRORS as error:  # also while Sentinel knows of no primary
                raise StoreDown(f"Sentinel did not say where the primary is: {reason(error)}.") from error
            return _endpoint(pool.connection_kwargs, host, port, tls=_is_tls(pool.connection_class))
        kwargs = pool.connection_kwargs
        if issubclass(pool.connection_class, UnixDomainSocketConnection):
            return ServerAddress(path=kwargs["path"], username=kwargs.get("username"), password=kwargs.get("password"))
        tls = _is_tls(pool.connection_class)
        return _endpoint(kwargs, kwargs.get("host", "127.0.0.1"), kwargs.get("port", 6379), tls=tls)

    async def shard_of(self, channel: str) -> str | None:
        """The primary that serves a sharded channel, ``host:port``; None where there is no Cluster."""
        if not isinstance(self.client, RedisCluster):
            return None
        try:
            await self.client.initialize()
        except ERRORS as error:
            raise StoreDown(f"The cluster did not say who serves what: {reason(error)}.") from error
        node = self.client.get_node_from_key(channel)
        if node is None:
            raise StoreDown("No primary serves this slot of the cluster.")
        return f"{node.host}:{node.port}"

    async def refresh_topology(self) -> list[str]:
        """Ask the cluster who serves what; returns its primaries."""
        assert isinstance(self.client, RedisCluster)
        await self.client.nodes_manager.initialize()
        return [f"{node.host}:{node.port}" for node in self.client.get_primaries()]

    async def close(self) -> None:
        await self.client.aclose()


def _is_tls(connection_class: type[Any]) -> bool:
    return issubclass(connection_class, SSLConnection)


def _endpoint(kwargs: dict[str, Any], host: str, port: int, *, tls: bool = False) -> ServerAddress:
    context = None
    if tls:
        # redis-py knows how to read its own TLS options; a throw-away connection builds the context from them.
        allowed = {k: v for k, v in kwargs.items() if k.startswith("ssl_")}
        context = SSLConnection(host=host, port=port, **allowed).ssl_context.get()
    return ServerAddress(
        host=host, port=int(port), username=kwargs.get("username"), password=kwargs.get("password"), tls=context
    )

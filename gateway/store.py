"""The node's way to Redis for commands: scripts, pipelines, and where to subscribe.

Topology, TLS, ACL, Sentinel and Cluster stay with redis-py; this adds what a node needs of it. Every call has a
bound in time, and a failure is always a :class:`StoreDown`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Final

from redis.asyncio import Redis, RedisCluster, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError

from gateway.link import Endpoint
from publisher.cancellation import lost_cancellation_delivered
from publisher.closed import closed_is_connection_error

CALL_TIMEOUT_S: Final = 5.0
Client = Redis | RedisCluster


class StoreDown(ConnectionError):
    """Redis did not answer, or not usefully. Nothing can be said about the data."""


class Script:
    """A Lua script by its text, the concatenation of chunks; sent once per server, then called by its SHA-1."""

    def __init__(self, *chunks: str) -> None:
        folder = files("gateway").joinpath("scripts")
        self.text = "".join(folder.joinpath(f"{name}.lua").read_text("utf-8") for name in chunks)
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


Call = tuple[Sequence[str], Sequence[str | int | bytes]]
"""Keys and arguments of one script call."""


class Store:
    """Wraps the client that the publisher's ``connect`` made for the node's Redis URL."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.cluster = isinstance(client, RedisCluster)

    async def run(self, script: Script, call: Call) -> Any:
        """One script call. Raises :class:`StoreDown`."""
        result = (await self.run_many(script, [call]))[0]
        if isinstance(result, Exception):
            raise StoreDown(f"Redis refused a read: {result}") from result
        return result

    async def run_many(self, script: Script, calls: Sequence[Call]) -> list[Any]:
        """Many calls of one script in one round trip; an exception stands in the place of a call that failed alone.

        Raises :class:`StoreDown` if nothing came back.
        """
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                if self.cluster:
                    return await asyncio.gather(*[self._one(script, call) for call in calls], return_exceptions=True)
                results = await self._pipeline(script, calls)
                if any(isinstance(result, NoScriptError) for result in results):
                    await self._load(script)
                    results = await self._pipeline(script, calls)
                if any(isinstance(result, ReadOnlyError) for result in results):
                    await self.reconnect()
                return results
        except (RedisError, OSError, TimeoutError) as error:
            raise StoreDown(f"Redis did not answer: {type(error).__name__}.") from error

    async def _pipeline(self, script: Script, calls: Sequence[Call]) -> list[Any]:
        assert isinstance(self.client, Redis)
        async with self.client.pipeline(transaction=False) as pipe:
            for keys, args in calls:
                pipe.evalsha(script.sha, len(keys), *keys, *args)
            with closed_is_connection_error(), lost_cancellation_delivered():
                return await pipe.execute(raise_on_error=False)

    async def _load(self, script: Script) -> None:
        assert isinstance(self.client, Redis)
        with closed_is_connection_error(), lost_cancellation_delivered():
            await self.client.script_load(script.text)

    async def _one(self, script: Script, call: Call) -> Any:
        keys, args = call
        with closed_is_connection_error(), lost_cancellation_delivered():
            try:
                return await self.client.evalsha(script.sha, len(keys), *keys, *args)
            except NoScriptError:
                return await self.client.eval(script.text, len(keys), *keys, *args)

    async def command(self, *args: str | int | bytes) -> Any:
        """One plain command. Raises :class:`StoreDown`."""
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                with closed_is_connection_error(), lost_cancellation_delivered():
                    return await self.client.execute_command(*args)
        except (RedisError, OSError, TimeoutError) as error:
            raise StoreDown(f"Redis did not answer: {type(error).__name__}.") from error

    async def reconnect(self) -> None:
        """Drop the connections: the server has become a replica, the next ones find the master."""
        if isinstance(self.client, Redis):
            await self.client.connection_pool.disconnect(inuse_connections=False)

    # Where to subscribe -----------------------------------------------------------------------------------------------

    async def endpoint(self, shard: str | None = None) -> Endpoint:
        """Where to subscribe: the server, the present master, or in Cluster the primary named ``shard``.

        Raises :class:`StoreDown`.
        """
        if isinstance(self.client, RedisCluster):
            assert shard is not None
            host, _, port = shard.rpartition(":")
            return _endpoint(self.client.connection_kwargs, host, int(port))
        pool = self.client.connection_pool
        if isinstance(pool, SentinelConnectionPool):
            try:
                host, port = await pool.get_master_address()
            except RedisError as error:  # also while Sentinel knows of no primary
                raise StoreDown(f"Sentinel did not say where the primary is: {type(error).__name__}.") from error
            return _endpoint(pool.connection_kwargs, host, port, tls=_is_tls(pool.connection_class))
        kwargs = pool.connection_kwargs
        if issubclass(pool.connection_class, UnixDomainSocketConnection):
            return Endpoint(path=kwargs["path"], username=kwargs.get("username"), password=kwargs.get("password"))
        tls = _is_tls(pool.connection_class)
        return _endpoint(kwargs, kwargs.get("host", "127.0.0.1"), kwargs.get("port", 6379), tls=tls)

    async def shard_of(self, channel: str) -> str | None:
        """The primary that serves a sharded channel, ``host:port``; None where there is no Cluster."""
        if not isinstance(self.client, RedisCluster):
            return None
        try:
            await self.client.initialize()
        except RedisError as error:
            raise StoreDown(f"The cluster did not say who serves what: {type(error).__name__}.") from error
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


def _endpoint(kwargs: dict[str, Any], host: str, port: int, *, tls: bool = False) -> Endpoint:
    context = None
    if tls:
        # redis-py knows how to read its own TLS options; a throw-away connection builds the context from them.
        allowed = {k: v for k, v in kwargs.items() if k.startswith("ssl_")}
        context = SSLConnection(host=host, port=port, **allowed).ssl_context.get()
    return Endpoint(
        host=host, port=int(port), username=kwargs.get("username"), password=kwargs.get("password"), tls=context
    )

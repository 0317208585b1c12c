"""All of a node's pub/sub: one connection for a server or a Sentinel master, one per primary in Cluster."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Final

from gateway.broker.pubsub_connection import CONFIRM_TIMEOUT_S, USUAL_PATIENCE, Patience, PubSubConnection
from gateway.broker.pubsub_protocol import ServerAddress
from gateway.broker.script import Script
from gateway.broker.store import Store, reason
from gateway.exceptions import StoreDown
from gateway.logs.log import Log, is_told
from gateway.metrics.counters import Metrics
from publisher.keys import channel_of, probe_channel, probe_key, pubsub_name

log = Log("gateway.redis")

DOWN_S: Final = 1.0
"""How often a Cluster's layout is looked at while a connection is down: a replica may have taken a primary's place."""


class Subscriber:
    """Keeps the node subscribed to what it wants.

    ``on_messages`` gets (channel, message) pairs, all of one read at once; ``on_up`` is called each time everything
    wanted is subscribed again after a connection, ``on_down`` with a reason when one is lost.
    """

    def __init__(
        self,
        store: Store,
        metrics: Metrics,
        *,
        prefix: str,
        node_id: str,
        on_messages: Callable[[list[tuple[str, bytes]]], None],
        on_up: Callable[[], None],
        on_down: Callable[[str], None],
        patience: Patience = USUAL_PATIENCE,
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._prefix = prefix
        self._node_id = node_id
        self._on_messages = on_messages
        self._on_up = on_up
        self._on_down = on_down
        self._patience = patience
        self._connections: dict[str | None, PubSubConnection] = {}
        self._tasks: dict[str | None, asyncio.Task[None]] = {}
        self._homes: dict[str, str | None] = {}
        self._changed = asyncio.Event()
        self._cut = len(self._name("")) - 1  # "sse:{" before the channel's name, "}" after it
        self._probe_script = Script("probe")
        self._announce = "SPUBLISH" if store.cluster else "PUBLISH"

    @property
    def up(self) -> bool:
        """Whether every connection stands, and is subscribed to what was wanted when it was made."""
        return bool(self._connections) and all(connection.up for connection in self._connections.values())

    async def run(self) -> None:
        """Keep subscribed until cancelled; in Cluster also follow the slots."""
        failures = 0
        try:
            if not self._store.cluster:
                await self._add(None)
                await asyncio.gather(*self._tasks.values())
            while True:
                for task in self._tasks.values():
                    if task.done():
                        task.result()  # a connection never ends by itself
                try:
                    await self._reshard()
                    failures = 0
                except Exception as error:  # redis-py raises many kinds here, and none may end the node
                    if is_told(failures):
                        log.warning("redis.topology_failed", words=reason(error))
                    failures += 1
                    self._metrics.redis_down()
                await self._until_changed()
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _until_changed(self) -> None:
        """Return when a channel was said to be elsewhere, or after a while."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience.reshard_s if self.up else DOWN_S):
                await self._changed.wait()
        self._changed.clear()

    def _name(self, channel: str) -> str:
        return pubsub_name(self._prefix, channel, self._store.db)

    # Interest ---

    def has(self, channel: str) -> bool:
        """Whether Redis has confirmed the subscription, on a connection that stands."""
        name = self._name(channel)
        connection = self._connections.get(self._homes.get(name)) if name in self._homes else None
        return connection is not None and connection.has(name)

    async def want(self, *channels: str) -> None:
        """Subscribe to channels and return when Redis has confirmed all of them. Raises :class:`StoreDown`, also where
        it does not in time."""
        asked = []
        for channel in channels:
            name = self._name(channel)
            if name not in self._homes:
                self._homes.setdefault(name, await self._home(name))
            connection = self._connections.get(self._homes[name])
            if connection is None:
                raise StoreDown("No connection to the shard of this channel yet.")
            connection.want(name)
            asked.append((connection, name))
        for connection, name in asked:
            await connection.confirmed(name)

    async def _home(self, name: str) -> str | None:
        if not self._store.cluster:
            return None
        try:
            async with asyncio.timeout(CONFIRM_TIMEOUT_S):
                return await self._store.shard_of(name)
        except TimeoutError:
            raise StoreDown("The cluster did not say in time who serves what.") from None

    def unwant(self, channels: list[str]) -> None:
        """Unsubscribe from channels."""
        by_home: dict[str | None, list[str]] = {}
        for channel in channels:
            name = self._name(channel)
            by_home.setdefault(self._homes.pop(name, None), []).append(name)
        for home, names in by_home.items():
            if home in self._connections:
                self._connections[home].unwant(names)

    # Feeds ---

    async def _add(self, shard: str | None) -> None:
        probe_channel = await self._probe_channel(shard)

        async def resolve() -> ServerAddress:
            return await self._store.endpoint(shard)

        connection = PubSubConnection(
            name=f"sse-gateway-{self._node_id}",
            probe_channel=probe_channel,
            sharded=self._store.cluster,
            resolve=resolve,
            probe=self._probe,
            on_messages=self._messages,
            on_up=self._connection_up,
            on_down=self._connection_down,
            on_refused=self._metrics.redis_refused,
            on_probe=self._metrics.probed,
            on_moved=self._changed.set,
            patience=self._patience,
        )
        self._connections[shard] = connection
        self._tasks[shard] = asyncio.create_task(connection.run(), name=f"pub/sub {shard or ''}")

    async def _probe_channel(self, shard: str | None) -> str:
        """A channel of this node's own that lives on the connection's server."""
        for number in range(10_000):
            name = self._name(probe_channel(self._node_id, number))
            if shard is None or await self._store.shard_of(name) == shard:
                return name
        raise StoreDown("No channel name was found for a shard of the cluster.")

    async def _probe(self, channel: str) -> None:
        before = time.time()
        key = probe_key(self._prefix, channel_of(channel))
        seconds, micros = await self._store.run(self._probe_script, ([key], [self._announce, channel]))
        self._metrics.clock_offset_s = (before + time.time()) / 2 - (int(seconds) + int(micros) / 1e6)

    async def _reshard(self) -> None:
        """Follow the cluster: a connection per primary, and every channel on the connection of its slot."""
        primaries = set(await self._store.refresh_topology())
        for shard in primaries - self._connections.keys():
            await self._add(shard)
        for gone in [known for known in self._connections if known not in primaries]:
            self._tasks.pop(gone).cancel()
            del self._connections[gone]
        moved = []
        for name, home in list(self._homes.items()):
            new_home = await self._store.shard_of(name)
            if new_home != home and new_home in self._connections and self._homes.get(name) == home:
                if home in self._connections:
                    self._connections[home].unwant([name])
                self._homes[name] = new_home
                self._connections[new_home].want(name)
                moved.append((self._connections[new_home], name))
        if moved:
            await self._heard_again(moved)

    async def _heard_again(self, moved: list[tuple[PubSubConnection, str]]) -> None:
        """What was announced between the two homes reached nobody: have it looked for once the new ones listen."""
        with contextlib.suppress(TimeoutError, StoreDown):  # then the connection starts over by itself, and says so
            async with asyncio.timeout(CONFIRM_TIMEOUT_S):
                for connection, name in moved:
                    await connection.confirmed(name)
        self._connection_up()

    # Callbacks ---

    def _messages(self, messages: list[tuple[bytes, bytes]]) -> None:
        cut = self._cut
        self._on_messages([(channel[cut:-1].decode(), message) for channel, message in messages])

    def _connection_up(self) -> None:
        if self.up:
            self._metrics.redis_is_up()
            self._on_up()

    def _connection_down(self, reason: str) -> None:
        self._changed.set()
        self._metrics.redis_lost(reason)
        self._on_down(reason)

"""All of a node's pub/sub: one feed for a server or a Sentinel master, one per primary in Cluster."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from gateway.feed import Feed
from gateway.link import Endpoint
from gateway.metrics import Metrics
from gateway.store import Script, Store, StoreDown
from publisher.channels import pubsub_name

log = logging.getLogger("gateway.redis")

RESHARD_S: Final = 5.0
"""How often a Cluster's topology is compared with the feeds."""


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
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._prefix = prefix
        self._node_id = node_id
        self._on_messages = on_messages
        self._on_up = on_up
        self._on_down = on_down
        self._feeds: dict[str | None, Feed] = {}
        self._tasks: dict[str | None, asyncio.Task[None]] = {}
        self._homes: dict[str, str | None] = {}
        self._cut = len(prefix) + 2  # "sse:{" before the channel's name, "}" after it
        self._probe_script = Script("probe")
        self._announce = "SPUBLISH" if store.cluster else "PUBLISH"
        self.clock_offset_s = 0.0
        """This machine's clock minus the one of Redis."""

    @property
    def up(self) -> bool:
        """Whether every feed is connected, and subscribed to what was wanted when it connected."""
        return bool(self._feeds) and all(feed.up for feed in self._feeds.values())

    async def run(self) -> None:
        """Keep subscribed until cancelled; in Cluster also follow the slots."""
        try:
            if not self._store.cluster:
                await self._add(None)
                await asyncio.gather(*self._tasks.values())
            while True:
                for task in self._tasks.values():
                    if task.done():
                        task.result()  # a feed never ends by itself
                try:
                    await self._reshard()
                except Exception as error:  # redis-py raises many kinds here, and none may end the node
                    log.warning("redis.topology_failed %s", type(error).__name__)
                    self._metrics.redis_down()
                await asyncio.sleep(RESHARD_S if self._feeds else 0.5)
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    # Interest ---

    def has(self, channel: str) -> bool:
        """Whether Redis has confirmed the subscription, on a connection that stands."""
        name = pubsub_name(self._prefix, channel)
        feed = self._feeds.get(self._homes.get(name)) if name in self._homes else None
        return feed is not None and feed.has(name)

    async def want(self, channel: str) -> None:
        """Subscribe to a channel and return when Redis has confirmed it. The caller bounds the wait."""
        name = pubsub_name(self._prefix, channel)
        if name not in self._homes:
            home = await self._store.shard_of(name)
            self._homes.setdefault(name, home)
        feed = self._feeds.get(self._homes[name])
        if feed is None:
            raise StoreDown("No connection to the shard of this channel yet.")
        feed.want(name)
        await feed.confirmed(name)

    def unwant(self, channels: list[str]) -> None:
        """Unsubscribe from channels."""
        by_home: dict[str | None, list[str]] = {}
        for channel in channels:
            name = pubsub_name(self._prefix, channel)
            by_home.setdefault(self._homes.pop(name, None), []).append(name)
        for home, names in by_home.items():
            if home in self._feeds:
                self._feeds[home].unwant(names)

    # Feeds ---

    async def _add(self, shard: str | None) -> None:
        probe_channel = await self._probe_channel(shard)

        async def resolve() -> Endpoint:
            return await self._store.endpoint(shard)

        feed = Feed(
            name=f"sse-gateway-{self._node_id}",
            probe_channel=probe_channel,
            sharded=self._store.cluster,
            resolve=resolve,
            probe=self._probe,
            on_messages=self._messages,
            on_up=self._feed_up,
            on_down=self._feed_down,
            on_probe=self._metrics.probed,
        )
        self._feeds[shard] = feed
        self._tasks[shard] = asyncio.create_task(feed.run(), name=f"feed {shard or ''}")

    async def _probe_channel(self, shard: str | None) -> str:
        """A channel of this node's own that lives on the feed's server."""
        for number in range(10_000):
            name = pubsub_name(self._prefix, f"probe:{self._node_id}:{number}")
            if shard is None or await self._store.shard_of(name) == shard:
                return name
        raise StoreDown("No channel name was found for a shard of the cluster.")

    async def _probe(self, channel: str) -> None:
        before = time.time()
        seconds, micros = await self._store.run(self._probe_script, ([f"{channel}:probe"], [self._announce, channel]))
        self.clock_offset_s = (before + time.time()) / 2 - (int(seconds) + int(micros) / 1e6)

    async def _reshard(self) -> None:
        """Follow the cluster: a feed per primary, and every channel on the feed of its slot."""
        primaries = set(await self._store.refresh_topology())
        for shard in primaries - self._feeds.keys():
            await self._add(shard)
        for gone in [known for known in self._feeds if known not in primaries]:
            self._tasks.pop(gone).cancel()
            del self._feeds[gone]
        for name, home in list(self._homes.items()):
            new_home = await self._store.shard_of(name)
            if new_home != home and new_home in self._feeds:
                if home in self._feeds:
                    self._feeds[home].unwant([name])
                self._homes[name] = new_home
                self._feeds[new_home].want(name)

    # Callbacks ---

    def _messages(self, messages: list[tuple[bytes, bytes]]) -> None:
        cut = self._cut
        self._on_messages([(channel[cut:-1].decode(), message) for channel, message in messages])

    def _feed_up(self) -> None:
        if self.up:
            self._metrics.redis_is_up()
            self._on_up()

    def _feed_down(self, reason: str) -> None:
        self._metrics.redis_lost(reason)
        self._on_down(reason)

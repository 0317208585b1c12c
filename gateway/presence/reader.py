"""Reading who is connected over all nodes: of its own streams a node knows, the others' are in Redis.

Nothing here blocks Redis for long: what may be large is read page by page.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, NamedTuple

from gateway.broker.script import Script
from gateway.broker.store import Store, is_wrong_type
from gateway.exceptions import StoreDown
from gateway.metrics.unreadable import Unreadable
from gateway.presence import rows
from gateway.presence.rows import NodeFigures
from gateway.presence.stream_counts import StreamCounts, channel_field, client_fields
from publisher.keys import CHANNEL, CHANNELS, CLIENT, CLIENT_STREAMS, CLIENTS, STREAMS

PAGE: Final = 1000
FIGURES: Final = (STREAMS, CLIENT_STREAMS, CLIENTS, CHANNELS, "started_at", "version", "draining", "delivered")


class Totals(NamedTuple):
    """The whole cluster. ``connections`` are the streams that listen to a client's channel, ``clients`` and
    ``channels`` count each one once, however many nodes serve it."""

    connections: int
    clients: int
    channels: int


class ClientFigures(NamedTuple):
    """One client that is listened to. ``nodes`` are the ids of those that hold its streams."""

    client_id: str
    connections: int
    nodes: list[str]


class ClientPage(NamedTuple):
    """``next`` is the cursor of the following page, None on the last."""

    clients: list[ClientFigures]
    next: str | None


class PresenceReader:
    """``own`` gives this node's figures. Every method raises :class:`~gateway.exceptions.StoreDown`."""

    def __init__(
        self,
        store: Store,
        own_streams: StreamCounts,
        *,
        nodes_key: str,
        node_key: str,
        own: Callable[[], NodeFigures],
        unreadable: Unreadable,
    ) -> None:
        self._store = store
        self._own_streams = own_streams
        self._nodes_key = nodes_key
        self._node_key = node_key
        self._own = own
        self._unreadable = unreadable
        self._script = Script("census")
        self._reading = asyncio.Lock()

    async def listeners(self, channel: str) -> int:
        """Open streams that listen to a channel."""
        return await self._sum((channel_field(channel),))

    async def streams_of_client(self, client_id: str) -> int:
        """Open streams that are this subject's or listen to ``client:{id}``."""
        return await self._sum(client_fields(client_id))

    async def nodes(self) -> list[NodeFigures]:
        """All nodes that are alive, by id."""
        others = [rows.figures(row, self._unreadable) for row in await self._others(FIGURES)]
        return sorted([self._own(), *[node for node in others if node is not None]])

    async def totals(self) -> Totals:
        nodes = await self.nodes()
        connections = sum(node.client_streams for node in nodes)
        busy = [node for node in nodes if node.channels]
        if len(busy) <= 1:
            return Totals(connections, sum(node.clients for node in busy), sum(node.channels for node in busy))
        channels = {name async for _, page in self._counts(CHANNEL) for name in page}
        return Totals(connections, sum(name.startswith(CLIENT) for name in channels), len(channels))

    async def clients(self, limit: int, cursor: str | None = None) -> ClientPage:
        """Clients after ``cursor``, in the order of their ids."""
        connections: Counter[str] = Counter()
        nodes: defaultdict[str, list[str]] = defaultdict(list)
        async for node, page in self._counts(CLIENT):
            for name, count in page.items():
                client = name[len(CLIENT) :]
                if (cursor is None or client > cursor) and node not in nodes[client]:
                    nodes[client].append(node)
                    connections[client] += count
        chosen = heapq.nsmallest(limit, connections)
        last = len(chosen) == len(connections)
        figures = [ClientFigures(client, connections[client], sorted(nodes[client])) for client in chosen]
        return ClientPage(figures, None if last else chosen[-1])

    async def _sum(self, fields: tuple[str, ...]) -> int:
        found = await self._others(fields)
        others = sum(rows.count(value, self._unreadable) for row in found for value in row[1:])
        return others + sum(self._own_streams.counts[field] for field in fields)

    async def _others(self, fields: tuple[str, ...]) -> list[list[Any]]:
        call = [self._nodes_key, self._node_key], [self._own().id, *fields]
        found = await self._store.run(self._script, call)
        return [row for row in found if isinstance(row, list) and row] if isinstance(found, list) else []

    async def _counts(self, start: str) -> AsyncIterator[tuple[str, dict[str, int]]]:
        """Per node its fields that begin with ``start``, page by page; a field may come twice."""
        async with self._reading:  # one at a time: many readers must not keep the node from its streams
            own = self._own().id
            yield own, {name: count for name, count in self._own_streams.counts.items() if name.startswith(start)}
            for row in await self._others(("generation",)):
                node = rows.node_id(row[0], self._unreadable)
                cursor = 0
                while node is not None:
                    key = self._node_key.removesuffix(own) + node
                    try:
                        cursor, found = await self._store.command(
                            "HSCAN", key, cursor, "MATCH", f"{start}*", "COUNT", PAGE
                        )
                    except StoreDown as error:
                        if not is_wrong_type(error):
                            raise
                        self._unreadable.note("key")
                        break
                    yield node, rows.counts(found, start, self._unreadable)
                    if not cursor:
                        break

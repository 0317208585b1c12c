"""Who is connected, read from what the nodes write down: the names of those keys and fields, and how to add them up.

A node has one hash; the sorted set of nodes says which of them are alive. All of it shares one slot. No I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from publisher import channels, scripts
from publisher.calls import Call, Read
from publisher.flows import Flow

PAGE: Final = 500
"""Clients that are read in one go, about."""

# Fields of a node's hash. Each counts streams; behind a colon follows a channel, a user or a client id.
CHANNEL: Final = "ch:"
CLIENT: Final = "ch:client:"
USER: Final = "user:"
GUEST: Final = "guest:"
SUBJECT: Final = "sub:"
STREAMS: Final = "streams"
CLIENT_STREAMS: Final = "client_streams"
CLIENTS: Final = "clients"
CHANNELS: Final = "channels"


def nodes_key(prefix: str) -> str:
    """The sorted set of nodes by the time (ms) at which their lease ends."""
    return f"{prefix}:{{gateway}}:nodes"


def node_key(prefix: str, node_id: str) -> str:
    """A node's hash."""
    return f"{prefix}:{{gateway}}:node:{node_id}"


class ClientConnections(NamedTuple):
    """One client that is listened to, and how many open streams do so, over all nodes."""

    client_id: str
    connections: int


class ConnectionMetrics(NamedTuple):
    """All nodes together. ``connections`` are the open streams that listen to a client's channel, ``clients`` the
    different clients; the average has two decimals, and is 0 where nobody is connected."""

    connections: int
    clients: int
    average_connections_per_client: float


def has_connections(prefix: str, client_id: str) -> Flow[bool]:
    """Whether any open stream listens to ``client:{id}``. Raises ``ValueError`` for a bad id."""
    rows = yield from _rows(prefix, [CHANNEL + channels.client_channel(client_id)])
    return any(_number(row[1]) for row in rows)


def connection_metrics(prefix: str) -> Flow[ConnectionMetrics]:
    """The totals over all nodes that are alive."""
    rows = yield from _rows(prefix, [CLIENT_STREAMS, CLIENTS])
    connections = sum(_number(row[1]) for row in rows)
    busy = [row for row in rows if _number(row[2])]
    if len(busy) <= 1:
        clients = sum(_number(row[2]) for row in busy)
    else:
        # A client may have streams on several nodes, and counts once.
        walk, clients = Walk(prefix), 0
        while (page := (yield from walk.next_page())) is not None:
            clients += len(page)
    return ConnectionMetrics(connections, clients, round(connections / clients, 2) if clients else 0.0)


class Walk:
    """Goes through all clients page by page, node by node, holding one page. Who comes or goes meanwhile may be
    missed or come twice."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._nodes: list[str] | None = None
        self._cursor = 0

    def next_page(self) -> Flow[list[ClientConnections] | None]:
        """Some clients, perhaps none; None after the last page."""
        if self._nodes is None:
            self._nodes = [_text(row[0]) for row in (yield from _rows(self._prefix, [CLIENTS])) if _number(row[1])]
        if not self._nodes:
            return None
        node = self._nodes[0]
        found = yield Read(("HSCAN", node_key(self._prefix, node), self._cursor, "MATCH", f"{CLIENT}*", "COUNT", PAGE))
        self._cursor = int(found[0])
        if not self._cursor:
            del self._nodes[0]
        return (yield from self._added_up(node, sorted(map(_text, found[1]))))

    def _added_up(self, node: str, fields: Sequence[str]) -> Flow[list[ClientConnections]]:
        """The clients of one node's page with what the other nodes have of them; a client that an earlier node has
        too was told there."""
        page: list[ClientConnections] = []
        for start in range(0, len(fields), PAGE):
            part = fields[start : start + PAGE]
            rows = yield from _rows(self._prefix, part)
            for at, field in enumerate(part, 1):
                counts = [(_text(row[0]), _number(row[at])) for row in rows]
                first = next((name for name, count in counts if count), None)
                if first == node:
                    page.append(ClientConnections(field[len(CLIENT) :], sum(count for _, count in counts)))
        return page


def _rows(prefix: str, fields: Sequence[str]) -> Flow[list[Any]]:
    """Per node that is alive, in the order of their ids, its id and the values of some fields."""
    reply = yield Call(scripts.NODES, (nodes_key(prefix),), (node_key(prefix, ""), *fields), -1)
    return sorted(reply, key=lambda row: row[0])


def _number(value: Any) -> int:
    return max(0, int(value or 0))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)

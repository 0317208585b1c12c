"""Who is connected, read from what the nodes write down: one hash each, and a sorted set that says who is alive."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from publisher import channels
from publisher.core.perform import Flow
from publisher.core.requests import Call, ReadCommand
from publisher.core.scripts import NO_RETRY, ScriptName
from publisher.keys import CHANNEL, CLIENT, CLIENT_STREAMS, CLIENTS, census_key, node_key, nodes_key

PAGE: Final = 500
"""Clients that are read in one go, about."""
_COUNT: Final = re.compile(rb"[0-9]{1,15}")


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
        found = yield ReadCommand(
            ("HSCAN", node_key(self._prefix, node), self._cursor, "MATCH", f"{CLIENT}*", "COUNT", PAGE)
        )
        self._cursor = int(found[0])
        if not self._cursor:
            del self._nodes[0]
        return (yield from self._added_up(node, sorted(filter(_is_clients, map(_text, found[1])))))

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
    args = (nodes_key(prefix), node_key(prefix, ""), *fields)
    reply = yield Call(ScriptName.NODES, (census_key(prefix),), args, NO_RETRY)
    return sorted(reply, key=lambda row: row[0])


def _is_clients(field: str) -> bool:
    """Whether it counts the streams of a client that there may be."""
    with contextlib.suppress(ValueError):
        return bool(channels.check_id(field.removeprefix(CLIENT)))
    return False


def _number(value: Any) -> int:
    """What a node wrote; 0 for none, and for what no node writes."""
    if isinstance(value, int):
        return max(0, value)
    return int(value) if isinstance(value, bytes) and _COUNT.fullmatch(value) else 0


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)

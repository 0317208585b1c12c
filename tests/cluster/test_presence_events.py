"""Back ends that want to know who is online are told by the nodes, also of those that a killed node leaves behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

from publisher import AsyncPublisher
from tests.support.eventsource import EventSource
from tests.support.http1 import request
from tests.support.node import Node
from tests.support.tokens import token
from tests.support.waiting import until


def _stats() -> str:
    return token("ops", scope="stats")


def _admin() -> dict[str, str]:
    return {"Authorization": f"Bearer {_stats()}"}


PATHS = ("/v1/clients/{}/events", "/v1/events?channel=client:{}", "/api/sse/subscribe/{}")


def said(source: EventSource) -> list[tuple[str, str, int]]:
    """Type, client and count of each event so far."""
    events = source.of_type("presence.joined", "presence.left")
    return [
        (each.type.removeprefix("presence."), *map(each.json().get, ("client_id", "connections"))) for each in events
    ]


async def hears(source: EventSource, condition: Callable[[list[tuple[str, str, int]]], bool]) -> None:
    await source.wait_for(lambda: condition(said(source)), "the news")


async def opened(stack: AsyncExitStack, node: Node, client: str, path: str = PATHS[0]) -> EventSource:
    stream = EventSource(node.base, path.format(client), token=token(client))
    return await (await stack.enter_async_context(stream)).opened()


async def clients(node: Node) -> dict[str, Any]:
    """What a node says of all: client ids and their streams, and the figures of the cluster."""
    listed = json.loads((await request(node.base, "/v1/clients", headers=_admin())).body)
    stats = json.loads((await request(node.base, "/v1/stats", headers=_admin())).body)
    return {
        "clients": {each["client_id"]: each["connections"] for each in listed["clients"]},
        "nodes": len(stats["nodes"]),
        "totals": stats["totals"]["clients"],
    }


async def test_a_killed_nodes_clients_are_gone_within_its_lease_and_told_once(start_node: Callable[..., Node]) -> None:
    """From the figures, from the lists, from the limits; and the others' clients stay."""
    settings = {"PRESENCE_EVENTS": "true", "MAX_CONNECTIONS_PER_USER": 2, "ANONYMOUS": "read"}
    first, second, third = (start_node(**settings) for _ in range(3))
    async with AsyncExitStack() as stack:
        watchers = [
            await stack.enter_async_context(EventSource(node.base, "/v1/events?channel=topic:presence", token=_stats()))
            for node in (second, third)
        ]
        for watcher in watchers:
            await watcher.next_of_type("stream.open")
        for number, path in enumerate(PATHS):
            await opened(stack, first, f"ghost{number}", path)
        await opened(stack, first, "both")
        await opened(stack, second, "both")
        await opened(stack, first, "both2")
        await until(lambda: len(said(watchers[0])) == 5, "the arrivals")
        assert {(kind, count) for kind, _, count in said(watchers[0])} == {("joined", 1)}
        assert (await request(second.base, PATHS[0].format("both"), headers=bearer("both"))).status == 429

        first.kill()
        expected = {"clients": {"both": 1}, "nodes": 2, "totals": 1}

        async def ghosts_are_gone() -> bool:
            return await clients(second) == expected and await clients(third) == expected

        await until(ghosts_are_gone, "the ghosts to go")
        left = [("left", client, 0) for client in ("both2", "ghost0", "ghost1", "ghost2")]
        for watcher in watchers:
            await hears(watcher, lambda heard: len(heard) >= 9)
        again = await opened(stack, third, "both")
        assert again.status == 200
        await opened(stack, third, "last")
        for watcher in watchers:
            await hears(watcher, lambda heard: ("joined", "last", 1) in heard)
            assert sorted(said(watcher)[5:9]) == left and said(watcher)[9:] == [("joined", "last", 1)]


def bearer(subject: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(subject)}"}


async def test_nothing_is_told_unless_it_is_switched_on(
    start_node: Callable[..., Node], redis_url: str, prefix: str
) -> None:
    node = start_node(LOG_LEVEL="debug")
    async with EventSource(node.base, "/v1/events?channel=topic:presence", token=_stats()) as watcher:
        await watcher.next_of_type("stream.open")
        async with EventSource(node.base, PATHS[0].format("ann"), token=token("ann")) as stream:
            await stream.next_of_type("stream.open")
        await until(lambda: "stream.closed" in node.log, "the end of the stream")
        async with AsyncPublisher.from_url(redis_url, prefix=prefix) as publisher:
            await publisher.publish("topic:presence", "note", None)
        await watcher.next_of_type("note")
        assert said(watcher) == []

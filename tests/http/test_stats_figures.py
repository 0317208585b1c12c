"""Live figures over the cluster: any node knows what the others have delivered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from publisher import Publisher
from tests.http.api import Api
from tests.support.eventsource import EventSource
from tests.support.node import Node
from tests.support.tokens import token
from tests.support.waiting import until


async def test_what_one_node_delivers_is_counted_in_the_answer_of_another(
    start_node: Callable[..., Node], redis_url: str, prefix: str
) -> None:
    busy, asked = start_node(), start_node()

    async def stats() -> dict[str, Any]:
        found: dict[str, Any] = (await Api(asked.base).call("GET", "/v1/stats", scope="stats")).json
        return found

    async with EventSource(busy.base, "/v1/clients/ann/events", token=token("ann")) as stream:
        await stream.next_of_type("stream.open")
        with Publisher.from_url(redis_url, prefix=prefix) as publisher:
            for number in range(3):
                publisher.send("ann", "hello", number)
        for _ in range(3):
            await stream.next_of_type("hello")

        async def counted() -> bool:
            return bool((await stats())["totals"]["events_delivered"] == 3)

        await until(counted, "the busy node's figures")
    nodes = (await stats())["nodes"]
    assert sorted(each["events_delivered"] for each in nodes) == [0, 3]
    (one,) = [each for each in nodes if each["events_delivered"]]
    assert sum(one["latency_counts"]) == 3
    assert one["measured_at"] > one["started_at"]

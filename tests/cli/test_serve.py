"""``sse-gateway serve`` as an operator sees it: its start without Redis, its log, its end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable

from tests.support.broker import Broker
from tests.support.eventsource import EventSource
from tests.support.http1 import request
from tests.support.node import SERVE, Node
from tests.support.ports import free_port
from tests.support.tokens import token
from tests.support.waiting import until


async def test_a_node_without_redis_starts_and_is_ready_as_soon_as_redis_is_there() -> None:
    broker = Broker(port=free_port())
    node = Node(broker.url, command=SERVE, ANONYMOUS="read")
    with contextlib.closing(broker), contextlib.closing(node):
        node.start(wait_ready=False)
        await until(lambda: node.readyz() == 503, "an answer")
        assert (await request(node.base, "/livez")).status == 200
        broker.start()
        node.wait_ready()
        async with EventSource(node.base, "/v1/events?channel=topic:a") as stream:
            await stream.next_of_type("stream.open")


async def test_streams_are_told_before_the_node_ends_with_zero(start_node: Callable[..., Node]) -> None:
    node = start_node(ANONYMOUS="read", DRAIN_S="0.5")
    async with EventSource(node.base, "/v1/events?channel=topic:a") as stream:
        await stream.next_of_type("stream.open")
        node.terminate()
        closing = await stream.next_of_type("stream.close")
        assert closing.json()["reason"] == "draining"
    assert node.wait() == 0


async def test_a_second_signal_ends_a_long_drain_at_once(start_node: Callable[..., Node]) -> None:
    node = start_node(ANONYMOUS="read", DRAIN_S=600)
    async with EventSource(node.base, "/v1/events?channel=topic:a") as first:
        async with EventSource(node.base, "/v1/events?channel=topic:a") as second:
            for stream in (first, second):
                await stream.next_of_type("stream.open")
            node.terminate()
            await until(lambda: node.readyz() == 503, "the drain")
            node.terminate()
            assert node.wait() == 0


async def test_a_log_of_json_objects_names_actions_and_never_a_token(start_node: Callable[..., Node]) -> None:
    node = start_node(LOG_FORMAT="json", LOG_LEVEL="debug", QUERY_TOKENS="true")
    secret = token("ann")
    async with EventSource(node.base, f"/v1/jobs/events?access_token={secret}", token=secret) as stream:
        await stream.next_of_type("stream.open")
    assert (await request(node.base, f"/v1/events?channel=x%0a&token={secret}")).status == 400
    await until(lambda: "stream.closed" in node.log, "the log line of the closed stream")
    node.terminate()
    assert node.wait() == 0
    lines = [json.loads(line) for line in node.log.splitlines()]
    assert all(line.keys() >= {"time", "level", "logger", "action"} for line in lines)
    actions = [line["action"] for line in lines]
    assert "redis.up" in actions
    assert {"node.started", "stream.opened", "stream.closed", "node.draining", "node.stopped"} <= set(actions)
    closed = next(line for line in lines if line["action"] == "stream.closed")
    assert closed["dialect"] == "native" and closed["bytes"] > 0 and closed["reason"] == "client_gone"
    assert secret not in node.log and "channel=x" not in node.log
    assert secret.rpartition(".")[2] not in node.log


def test_an_interrupt_ends_a_node_with_zero(start_node: Callable[..., Node]) -> None:
    node = start_node()
    os.kill(node.pid, signal.SIGINT)
    assert node.wait() == 0


async def test_a_database_that_the_server_does_not_have_is_named_in_the_log_and_not_every_second(
    broker: Broker,
) -> None:
    """Redis hears and is heard there all the same: only what it is asked for fails."""
    node = Node(broker.url.removesuffix("/0") + "/99", command=SERVE, ANONYMOUS="read")
    with contextlib.closing(node):
        node.start(wait_ready=False)
        await until(lambda: "redis.probe_failed" in node.log, "the node to try again and again")
        lines = [line for line in node.log.splitlines() if "control.unreachable" in line]
        assert len(lines) == 1
        assert "DB index is out of range" in lines[0]

"""Faults of the Redis server: restarted, emptied, frozen, rid of its connections, out of disk."""

from __future__ import annotations

import asyncio
import resource
from typing import Any

from publisher import AsyncPublisher, PublishError
from tests.cluster.backend import client
from tests.cluster.faults.fault import Hold
from tests.cluster.ledger import AcceptedEvent
from tests.cluster.world import World
from tests.support.eventsource import EventSource
from tests.support.http1 import request
from tests.support.tokens import token
from tests.support.waiting import until

BURST_EVENTS, BURST_BYTES = 300, 240_000


async def restarted(world: World, hold: Hold) -> None:
    """Stopped in good order and started again with its data."""
    await asyncio.to_thread(world.standalone.broker.restart)


async def crashed(world: World, hold: Hold) -> None:
    """SIGKILL, some time of nothing, and back with its data."""
    await asyncio.to_thread(world.standalone.broker.kill)
    # Not until something was published: a worker at the end of its job waits for Redis.
    await asyncio.sleep(hold.seconds(1, 8))
    await asyncio.to_thread(world.standalone.broker.start)


async def emptied(world: World, hold: Hold) -> None:
    """Back without any data: clients are reset, and the worker's handle creates its job again."""
    await world.standalone.wipe()
    await world.accepted(20)


async def frozen(world: World, hold: Hold) -> None:
    """SIGSTOP: connections stay open and nothing answers."""
    broker = world.standalone.broker
    broker.freeze()
    try:
        await asyncio.sleep(hold.seconds(5, 20))
    finally:
        broker.thaw()


async def pubsub_killed(world: World, hold: Hold) -> None:
    """The nodes' pub/sub connections are closed by the server, several times."""
    for _ in range(3):
        async with client(world.standalone.broker) as operator:
            await operator.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        await world.published(10)


async def everybody_killed(world: World, hold: Hold) -> None:
    """All connections are closed by the server, the publisher's in mid-publish too."""
    for _ in range(3):
        async with client(world.standalone.broker) as operator:
            await operator.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            await operator.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await world.published(10)


async def pubsub_overflow(world: World, hold: Hold) -> None:
    """A node hangs while a burst fills its output buffer in Redis, which then cuts it off."""
    node = world.nodes[hold.index(len(world.nodes))]
    async with (
        client(world.standalone.broker) as operator,
        # The crowd may have moved to other nodes: without a listener this one would not be sent the burst.
        EventSource(node.base, "/v1/events?channel=topic:burst", token=world.token) as listener,
    ):
        await listener.opened()
        before = (await operator.config_get("client-output-buffer-limit"))["client-output-buffer-limit"]
        await operator.config_set("client-output-buffer-limit", "pubsub 65536 65536 1")
        node.freeze()
        try:
            await _burst_until_overflow(world, operator)
        finally:
            node.thaw()
            await operator.config_set("client-output-buffer-limit", before)


async def _listening(operator: Any) -> set[str]:
    """The ids of the connections that listen. A count of those that were cut off is not there before Redis 7.2."""
    return {client["id"] for client in await operator.client_list(_type="pubsub")}


async def _burst_until_overflow(world: World, operator: Any) -> None:
    """Large events on a channel that is watched, one after the other: the kernel's buffers hold many of them."""
    before = await _listening(operator)
    async with AsyncPublisher.from_url(world.standalone.broker.url, prefix=world.prefix) as publisher:
        for _ in range(BURST_EVENTS):
            number = world.ledger.newest("topic:burst") + 1
            world.ledger.asked("topic:burst", number)
            data = {"on": "topic:burst", "n": number, "fill": "x" * BURST_BYTES}
            receipt = await publisher.publish("topic:burst", "tick", data)
            assert receipt is not None
            world.ledger.accepted("topic:burst", number, AcceptedEvent(receipt.epoch, receipt.seq))
            if before - await _listening(operator):
                return
    raise AssertionError(f"Redis did not cut the node off within {BURST_EVENTS} events.")


async def disk_full(world: World, hold: Hold) -> None:
    """Nothing more fits under the append-only file: who publishes is told, and nothing pretends to have worked."""
    broker = world.standalone.broker
    async with client(broker) as operator:
        # With fsync at each write the server ends itself instead of refusing.
        await operator.config_set("appendfsync", "everysec")
        folder = broker.folder / "appendonlydir"
        size = max(path.stat().st_size for path in folder.iterdir())
        before = resource.prlimit(broker.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, (size + 2000, before[1]))
        try:
            await until(lambda: _cannot_write(operator), "the disk to be full")
            await _is_told(world, broker.url)
        finally:
            resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, before)
            await world.accepted(10)
            await _write_anew(operator)
            await operator.config_set("appendfsync", "always")


async def _cannot_write(operator: Any) -> bool:
    info = await operator.info("persistence")
    return bool(info["aof_last_write_status"] == "err")


async def _write_anew(operator: Any) -> None:
    """Valkey 9.1 leaves a file that it cannot read again where a write was cut short after it had been a replica."""
    await operator.execute_command("BGREWRITEAOF")

    async def is_done() -> bool:
        info = await operator.info("persistence")
        return not info["aof_rewrite_in_progress"] and not info["aof_rewrite_scheduled"]

    await until(is_done, "the append-only file to be written anew", 30)


async def _is_told(world: World, url: str) -> None:
    """By the library and over HTTP alike."""
    async with AsyncPublisher.from_url(url, prefix=world.prefix) as publisher:
        try:
            await publisher.publish("topic:other", "tick", {"on": "topic:other", "n": 1})
        except PublishError as error:
            assert "MISCONF" in str(error) and "room" in str(error), error
        else:
            raise AssertionError("An event was accepted although the disk is full.")
    headers = {"Authorization": f"Bearer {token('w', scope='publish')}", "Content-Type": "application/json"}
    body = b'{"channel":"topic:other","type":"tick","data":{"on":"topic:other","n":1}}'
    answer = await request(world.nodes[0].base, "/v1/events", method="POST", headers=headers, body=body)
    assert answer.status == 503, answer.body

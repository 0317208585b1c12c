"""Faults of a Redis Cluster: slots that move with what is in them, replicas that are promoted, and a dead primary."""

from __future__ import annotations

import asyncio
import contextlib

from publisher.keys import CONTROL
from tests.cluster.backend import client
from tests.cluster.faults.fault import Hold
from tests.cluster.steady import OWNER
from tests.cluster.world import World
from tests.support.broker import Broker
from tests.support.ports import HOST
from tests.support.waiting import until

PROMOTED_S = 40
FORGOTTEN_S = 8
SOME_EVENTS = 12
MOVED = ("topic:a", f"user:{OWNER}", CONTROL)
"""A channel that is published to, one behind jobs of other slots, and the nodes' own."""


async def slots_moved(world: World, hold: Hold) -> None:
    """Slots go to another primary, one after the other, while their channels are published to and watched."""
    for channel in MOVED:
        await _move(world, world.shards.slot(channel), hold)
        await world.accepted(SOME_EVENTS)


async def _move(world: World, slot: int, hold: Hold) -> None:
    """As ``redis-cli --cluster reshard`` does: open the slot on both sides, send its keys, tell everybody."""
    shards = world.shards
    source = await shards.primary_of(slot)
    others = [primary for primary in await shards.primaries() if primary is not source]
    target, bystander = others[slot % 2], others[1 - slot % 2]
    async with client(source) as giver, client(target) as taker, client(bystander) as third:
        giver_id, taker_id = [await each.execute_command("CLUSTER", "MYID") for each in (giver, taker)]
        await taker.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", giver_id)
        await giver.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", taker_id)
        # Not until something was published: scripts of this slot wait as long as a part of their keys is on its way.
        while keys := await giver.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 1):
            await asyncio.sleep(hold.seconds(0.3, 1))
            await giver.execute_command("MIGRATE", HOST, target.port, "", 0, 5000, "KEYS", *keys)
        await asyncio.sleep(hold.seconds(0.3, 1))
        for each in (taker, giver, third):
            await each.execute_command("CLUSTER", "SETSLOT", slot, "NODE", taker_id)


async def promoted_by_order(world: World, hold: Hold) -> None:
    """An operator lets a replica take its primary's place, without a loss, and then the other way round."""
    for _ in range(2):
        primary = await world.shards.primary_of(world.shards.slot("topic:a"))
        replica = await world.shards.replica_of(primary)
        await _order(world, replica)
        await world.accepted(SOME_EVENTS)
        await world.shards.settled()


async def _order(world: World, replica: Broker) -> None:
    """An order that was not carried out in 5 s is forgotten: then it is given again."""
    for _ in range(PROMOTED_S // FORGOTTEN_S):
        async with client(replica) as operator:
            await operator.execute_command("CLUSTER", "FAILOVER")
        with contextlib.suppress(TimeoutError):
            return await _promoted(world, replica, FORGOTTEN_S)
    raise TimeoutError("The replica was not promoted.")


async def primary_killed(world: World, hold: Hold) -> None:
    """What it had accepted and not passed on is lost; it comes back as a replica."""
    primary = await world.shards.primary_of(world.shards.slot("topic:a"))
    replica = await world.shards.replica_of(primary)
    await asyncio.to_thread(primary.kill)
    await _promoted(world, replica)
    await world.accepted(SOME_EVENTS)
    await asyncio.to_thread(primary.start)
    await world.shards.settled()
    await world.accepted(SOME_EVENTS)


async def _promoted(world: World, replica: Broker, timeout_s: float = PROMOTED_S) -> None:
    async def is_primary() -> bool:
        return await world.shards.primary_of(world.shards.slot("topic:a")) is replica

    await until(is_primary, "the replica to be promoted", timeout_s)

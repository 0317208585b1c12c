"""Faults of a primary with a replica: failovers by Sentinel, also such that lose writes, and a demoted primary that
some still listen to."""

from __future__ import annotations

import asyncio
import contextlib

import redis

from tests.cluster.backend import SERVICE, caught_up, client
from tests.cluster.faults.fault import Hold
from tests.cluster.world import World
from tests.support.broker import Broker
from tests.support.ports import HOST, free_port
from tests.support.waiting import until

FAILOVER_S = 40
FORGOTTEN_S = 20
NOTICED_S = 30
SOME_EVENTS = 12


async def lost_writes(world: World, hold: Hold) -> None:
    """The primary accepts events that never reach the replica, and dies: the same numbers are given out again."""
    trio = world.trio
    await until(trio.in_sync, "the replica to have everything", FAILOVER_S)
    primary, replica = await trio.roles()
    replica.freeze()
    try:
        async with client(primary) as operator:
            await operator.execute_command("CLIENT", "KILL", "TYPE", "replica")
        await world.accepted(SOME_EVENTS)
        await asyncio.to_thread(primary.kill)
    finally:
        replica.thaw()
    await _promoted(world, replica)
    await asyncio.to_thread(primary.start)
    await world.accepted(SOME_EVENTS)
    await until(trio.in_sync, "the old primary to follow the new one", FAILOVER_S)


async def ordered(world: World, hold: Hold) -> None:
    """An operator asks for a failover while everything runs."""
    trio = world.trio
    await until(trio.in_sync, "the replica to have everything", FAILOVER_S)
    _, replica = await trio.roles()
    async with client(trio.sentinels[0]) as sentinel:

        async def agrees() -> bool:
            try:
                await sentinel.execute_command("SENTINEL", "FAILOVER", SERVICE)
            except redis.ResponseError:  # NOGOODSLAVE: it has not seen yet that the replica is well again
                return await trio.primary_port() == replica.port
            return True

        for _ in range(FAILOVER_S // FORGOTTEN_S):  # what it could not carry out it gives up
            await until(agrees, "Sentinel to take the order", FAILOVER_S)
            with contextlib.suppress(TimeoutError):
                await _promoted(world, replica, FORGOTTEN_S)
                break
        else:
            raise TimeoutError("Sentinel did not promote the replica.")
    await world.accepted(SOME_EVENTS)
    await until(trio.in_sync, "the old primary to follow the new one", FAILOVER_S)


async def _promoted(world: World, replica: Broker, timeout_s: float = FAILOVER_S) -> None:
    async def is_primary() -> bool:
        return await world.trio.primary_port() == replica.port

    await until(is_primary, "Sentinel to promote the replica", timeout_s)


async def demoted_primary(world: World, hold: Hold) -> None:
    """The service moves to the replica without a loss; the nodes' connections stay with the old primary, which is
    alive, answers every PING, and is told nothing any more."""
    backend = world.standalone
    old = backend.broker
    new = Broker(append_only=True)
    await asyncio.to_thread(new.start)
    async with client(new) as operator:
        await operator.execute_command("REPLICAOF", HOST, str(old.port))

    async def has_everything() -> bool:
        return await caught_up(old, new)

    await until(has_everything, "the replica to have everything", FAILOVER_S)
    await backend.move_to(new)
    await asyncio.to_thread(backend.proxies[-1].cut)  # the publisher's: it waits at the replica from here on
    await until(has_everything, "the replica to have the last writes", FAILOVER_S)
    async with client(new) as operator:
        await operator.execute_command("REPLICAOF", "NO", "ONE")
    async with client(old) as operator:
        await operator.execute_command("REPLICAOF", HOST, str(free_port()))
    backend.broker = new
    try:
        await world.accepted(SOME_EVENTS)  # by the new primary: nobody hears of them over an old connection
        await world.settle(NOTICED_S)
    finally:
        old.close()

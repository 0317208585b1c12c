"""Faults of nodes and of the publisher: killed, stopped, frozen, out of file descriptors, with a wrong clock."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
from collections.abc import Iterator

from tests.cluster.faults.fault import Hold
from tests.cluster.moving_clock import move_clock
from tests.cluster.world import World
from tests.support.node import Node
from tests.support.ports import HOST
from tests.support.waiting import until

SPARE_DESCRIPTORS = 4
JUMPS_S = (1500.0, -1500.0, 0.0)


async def killed(world: World, hold: Hold) -> None:
    """SIGKILL, and another one in its place while its clients are with the others."""
    node = _any(world, hold)
    await asyncio.to_thread(node.kill)
    await world.published(20)
    await asyncio.to_thread(node.start)


async def terminated(world: World, hold: Hold) -> None:
    """SIGTERM: it drains and ends with 0."""
    await _restart(_any(world, hold))


async def _restart(node: Node) -> None:
    node.terminate()
    code = await asyncio.to_thread(node.wait)
    assert code == 0, f"The node ended with {code} after SIGTERM: {node.log[-1500:]}"
    await asyncio.to_thread(node.start)


async def rolling_restart(world: World, hold: Hold) -> None:
    """One node after the other, as in a deployment."""
    for node in world.nodes:
        await _restart(node)
        await world.published(8)


async def frozen(world: World, hold: Hold) -> None:
    """SIGSTOP, and back: its clients hang meanwhile, and get everything afterwards."""
    node = _any(world, hold)
    node.freeze()
    try:
        await asyncio.sleep(hold.seconds(2, 12))
    finally:
        node.thaw()


async def publisher_killed(world: World, hold: Hold) -> None:
    """SIGKILL in mid-publish; the next life attaches to the job that was cut off."""
    for _ in range(3):
        await world.publishing.kill()
        await world.publishing.start()
        await world.published(10)


async def out_of_descriptors(world: World, hold: Hold) -> None:
    """It goes on serving those it has, refuses new ones, and takes them again when there is room."""
    node = _any(world, hold)
    before = resource.prlimit(node.pid, resource.RLIMIT_NOFILE)
    limit = len(os.listdir(f"/proc/{node.pid}/fd")) + SPARE_DESCRIPTORS
    resource.prlimit(node.pid, resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        with _greedy_clients(node, 3 * SPARE_DESCRIPTORS):
            await until(lambda: len(os.listdir(f"/proc/{node.pid}/fd")) >= limit, "the last descriptor to be taken")
            await world.published(30)
            assert node.exit_code is None, f"The node died of a lack of descriptors: {node.log[-1500:]}"
    finally:
        resource.prlimit(node.pid, resource.RLIMIT_NOFILE, before)


@contextlib.contextmanager
def _greedy_clients(node: Node, count: int) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection((HOST, node.port), timeout=5))
        yield


async def clock_jumps(world: World, hold: Hold) -> None:
    """A node's clock jumps ahead, back, and home; nothing that it does may depend on it."""
    index = hold.index(len(world.nodes))
    node = world.nodes[index]
    for seconds in JUMPS_S:
        move_clock(world.clocks[index], seconds)
        await world.published(30)
        assert node.exit_code is None, f"The node died of its clock: {node.log[-1500:]}"


def _any(world: World, hold: Hold) -> Node:
    return world.nodes[hold.index(len(world.nodes))]

"""Faults of the network between one node and Redis: cut, silent both ways or one way, hardly anything gets through."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from tests.cluster.faults.fault import Hold
from tests.cluster.world import World
from tests.support.proxy import Direction, Proxy

TRICKLE_BYTES_PER_S: Final = 4000
NOTICED_S: Final = (16, 30)
"""Long enough for a node to notice its silence, which it does within 15 s, and at most as long as a test bears."""


async def cut(world: World, hold: Hold) -> None:
    """All connections are reset, again and again."""
    proxy = _line(world, hold)
    for _ in range(4):
        proxy.cut()
        await world.published(5)


async def refused(world: World, hold: Hold) -> None:
    """All connections are reset and no new one is let in for a while."""
    proxy = _line(world, hold)
    proxy.refuse()
    proxy.cut()
    try:
        await world.published(20)
    finally:
        proxy.restore()


def blackhole(direction: Direction) -> Callable[[World, Hold], Awaitable[None]]:
    """Bytes vanish in this direction while every connection stays open."""

    async def strike(world: World, hold: Hold) -> None:
        proxy = _line(world, hold)
        proxy.blackhole(direction)
        try:
            await asyncio.sleep(hold.seconds(4, NOTICED_S[1]))
        finally:
            if hold.long and hold.rng.random() < 0.5:
                proxy.cut()  # what was held back is lost for good
            proxy.restore()

    return strike


async def blackhole_then_cut(world: World, hold: Hold) -> None:
    """What Redis sent meanwhile never arrives."""
    proxy = _line(world, hold)
    proxy.blackhole("down")
    try:
        await world.published(20)
    finally:
        proxy.cut()
        proxy.restore()


async def trickle(world: World, hold: Hold) -> None:
    """Slower than what is published: the node falls behind and catches up."""
    proxy = _line(world, hold)
    proxy.trickle(TRICKLE_BYTES_PER_S)
    try:
        await asyncio.sleep(hold.seconds(4, 15))
    finally:
        proxy.restore()


def _line(world: World, hold: Hold) -> Proxy:
    return world.standalone.proxies[hold.index(len(world.nodes))]

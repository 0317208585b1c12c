"""What a fault is."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.cluster.backend import Standalone, Topology
from tests.cluster.world import World


@dataclass(frozen=True)
class ClusterFault:
    """``strike`` breaks something, holds it broken, and mends it; ``loses_data``: accepted events may be gone from
    Redis, so that clients may be reset. ``topology``: what it breaks; ``moving_clock``: it needs nodes whose clock can
    be moved.
    """

    name: str
    strike: Callable[[World, Hold], Awaitable[None]]
    loses_data: bool = False
    topology: Topology = Standalone
    moving_clock: bool = False

    async def run(self, world: World, hold: Hold) -> None:
        """Strike, and return when everybody has settled."""
        if self.loses_data:
            async with world.loss():
                await self.strike(world, hold)
        else:
            await self.strike(world, hold)
            await world.settle()


@dataclass(frozen=True)
class Hold:
    """How long faults last and whom they hit: short and the first in tests, longer and anybody in long runs."""

    rng: random.Random
    long: bool = False

    def seconds(self, short: float, longest: float) -> float:
        """How long something stays broken."""
        return self.rng.uniform(short, longest) if self.long else short

    def index(self, count: int) -> int:
        """Which of several is hit."""
        return self.rng.randrange(count) if self.long else 0

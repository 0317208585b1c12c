"""One fault after the other under a steady load, and the promise that is kept over each of them.

The long version, with the same parts, is ``make chaos``.
"""

from __future__ import annotations

import random

import pytest

from tests.cluster.faults.catalogue import FAULTS
from tests.cluster.faults.fault import ClusterFault, Hold
from tests.cluster.world import running_world

ORDERS = {"rate": 12, "steps": 25}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_every_accepted_event_arrives_once_and_in_order_or_a_reset_says_so_after(
    fault: ClusterFault, prefix: str
) -> None:
    """Clients of every dialect on two nodes; resets only where Redis itself lost data."""
    async with running_world(prefix, topology=fault.topology, moving_clock=fault.moving_clock, orders=ORDERS) as world:
        await world.published(20)
        await fault.run(world, Hold(random.Random(1)))
        await world.published(20)
        await world.finish()
        assert world.problems() == []

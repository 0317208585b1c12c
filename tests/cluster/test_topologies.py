"""Other ways to Redis than plain TCP, under the same load and with the same account as the faults."""

from __future__ import annotations

import random

import pytest

from tests.cluster.backend import Topology
from tests.cluster.faults import nodes, redis
from tests.cluster.faults.fault import ClusterFault, Hold
from tests.cluster.test_faults import ORDERS
from tests.cluster.ways import Encrypted, Socket
from tests.cluster.world import running_world

SOME_EVENTS = 40
STRIKES = (redis.restarted, redis.everybody_killed, nodes.killed)


@pytest.mark.parametrize("topology", [Encrypted, Socket], ids=["TLS and ACL users", "Unix socket"])
async def test_every_event_arrives_once_over(topology: Topology, prefix: str) -> None:
    """Redis is restarted, loses all its connections, and a node is killed meanwhile."""
    async with running_world(prefix, topology=topology, orders=ORDERS) as world:
        for strike in STRIKES:
            await ClusterFault(strike.__name__, strike).run(world, Hold(random.Random(1)))
            await world.accepted(SOME_EVENTS)
        await world.finish()
        assert world.problems() == []
        if isinstance(world.backend, Encrypted):
            assert await world.backend.refused() == set()

"""All faults, by name."""

from __future__ import annotations

from typing import Final

from tests.cluster.backend import Topology, Trio
from tests.cluster.faults import failover, network, nodes, redis, shards
from tests.cluster.faults.fault import ClusterFault
from tests.cluster.shards import Shards

FAULTS: Final = (
    ClusterFault("node killed", nodes.killed),
    ClusterFault("node terminated", nodes.terminated),
    ClusterFault("node frozen", nodes.frozen),
    ClusterFault("rolling restart", nodes.rolling_restart),
    ClusterFault("publisher killed in mid-publish", nodes.publisher_killed),
    ClusterFault("node out of file descriptors", nodes.out_of_descriptors),
    ClusterFault("node's clock jumps", nodes.clock_jumps, moving_clock=True),
    ClusterFault("Redis restarted", redis.restarted),
    ClusterFault("Redis crashed", redis.crashed),
    ClusterFault("Redis emptied", redis.emptied, loses_data=True),
    ClusterFault("Redis frozen", redis.frozen),
    ClusterFault("pub/sub connections killed", redis.pubsub_killed),
    ClusterFault("all Redis connections killed", redis.everybody_killed),
    ClusterFault("pub/sub output buffer overflow", redis.pubsub_overflow),
    ClusterFault("disk full under the append-only file", redis.disk_full),
    ClusterFault("line cut", network.cut),
    ClusterFault("line refused", network.refused),
    ClusterFault("line silent both ways", network.blackhole("both")),
    ClusterFault("line silent towards Redis", network.blackhole("up")),
    ClusterFault("line silent towards the node", network.blackhole("down")),
    ClusterFault("line silent towards the node, then cut", network.blackhole_then_cut),
    ClusterFault("line trickles", network.trickle),
    ClusterFault("subscription left on a demoted primary", failover.demoted_primary),
    ClusterFault("failover with lost writes", failover.lost_writes, loses_data=True, topology=Trio),
    ClusterFault("failover by order", failover.ordered, loses_data=True, topology=Trio),
    ClusterFault("slots moved to another primary", shards.slots_moved, topology=Shards),
    ClusterFault("replica promoted by order", shards.promoted_by_order, topology=Shards),
    ClusterFault("primary of a cluster killed", shards.primary_killed, loses_data=True, topology=Shards),
)


def faults_of(topology: Topology) -> tuple[ClusterFault, ...]:
    """Those that break this."""
    return tuple(fault for fault in FAULTS if fault.topology is topology)

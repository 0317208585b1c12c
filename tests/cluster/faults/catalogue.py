"""All faults, by name."""

from __future__ import annotations

from typing import Final

from tests.cluster.faults import failover, network, nodes, redis
from tests.cluster.faults.fault import ClusterFault

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
    ClusterFault("failover with lost writes", failover.lost_writes, loses_data=True, sentinel=True),
    ClusterFault("failover by order", failover.ordered, loses_data=True, sentinel=True),
)
STANDALONE: Final = tuple(fault for fault in FAULTS if not fault.sentinel)
SENTINEL: Final = tuple(fault for fault in FAULTS if fault.sentinel)

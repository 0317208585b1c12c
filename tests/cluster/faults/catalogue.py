"""All faults, by name."""

from __future__ import annotations

from typing import Final

from tests.cluster.faults import failover, network, nodes, redis
from tests.cluster.faults.fault import Fault

FAULTS: Final = (
    Fault("node killed", nodes.killed),
    Fault("node terminated", nodes.terminated),
    Fault("node frozen", nodes.frozen),
    Fault("rolling restart", nodes.rolling_restart),
    Fault("publisher killed in mid-publish", nodes.publisher_killed),
    Fault("node out of file descriptors", nodes.out_of_descriptors),
    Fault("node's clock jumps", nodes.clock_jumps, moving_clock=True),
    Fault("Redis restarted", redis.restarted),
    Fault("Redis crashed", redis.crashed),
    Fault("Redis emptied", redis.emptied, loses_data=True),
    Fault("Redis frozen", redis.frozen),
    Fault("pub/sub connections killed", redis.pubsub_killed),
    Fault("all Redis connections killed", redis.everybody_killed),
    Fault("pub/sub output buffer overflow", redis.pubsub_overflow),
    Fault("disk full under the append-only file", redis.disk_full),
    Fault("line cut", network.cut),
    Fault("line refused", network.refused),
    Fault("line silent both ways", network.blackhole("both")),
    Fault("line silent towards Redis", network.blackhole("up")),
    Fault("line silent towards the node", network.blackhole("down")),
    Fault("line silent towards the node, then cut", network.blackhole_then_cut),
    Fault("line trickles", network.trickle),
    Fault("subscription left on a demoted primary", failover.demoted_primary),
    Fault("failover with lost writes", failover.lost_writes, loses_data=True, sentinel=True),
    Fault("failover by order", failover.ordered, loses_data=True, sentinel=True),
)
STANDALONE: Final = tuple(fault for fault in FAULTS if not fault.sentinel)
SENTINEL: Final = tuple(fault for fault in FAULTS if fault.sentinel)

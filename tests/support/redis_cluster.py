"""A Redis Cluster of two primaries, so that channels live apart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import redis

from tests.support.broker import Broker
from tests.support.ports import HOST
from tests.support.waiting import wait_until

SLOTS = 16384


@contextmanager
def redis_cluster(*, append_only: bool = False) -> Iterator[list[Broker]]:
    """Two primaries that know each other and serve all slots between them."""
    with ExitStack() as stack:
        pair = [stack.enter_context(Broker(cluster=True, append_only=append_only)) for _ in range(2)]
        clients = [redis.Redis(port=node.port, protocol=2) for node in pair]
        for n, client in enumerate(clients):
            client.execute_command("CLUSTER ADDSLOTSRANGE", n * SLOTS // 2, (n + 1) * SLOTS // 2 - 1)
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", n + 1)
        bus: Any = clients[1].config_get("cluster-port")
        clients[0].execute_command("CLUSTER MEET", HOST, pair[1].port, bus["cluster-port"])
        wait_until(lambda: all(map(_whole, clients)), "the cluster")
        for client in clients:
            client.close()
        yield pair


def cluster_url(nodes: list[Broker]) -> str:
    return "redis+cluster://" + ",".join(f"{HOST}:{node.port}" for node in nodes)


def _whole(client: Any) -> bool:
    info = client.execute_command("CLUSTER INFO")
    return bool(info["cluster_state"] == "ok" and info["cluster_slots_ok"] == str(SLOTS))

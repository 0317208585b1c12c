"""A Redis Cluster of several primaries, so that channels live apart, and of their replicas where a test wants some."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import redis

from tests.support.broker import Broker
from tests.support.ports import HOST
from tests.support.waiting import wait_until

SLOTS = 16384


@contextmanager
def redis_cluster(
    *, append_only: bool = False, primaries: int = 2, replicas: bool = False, config: Sequence[str] = ()
) -> Iterator[list[Broker]]:
    """Primaries that know each other and serve all slots between them; with ``replicas`` one for each stands behind
    them in the list, in the same order."""
    count = primaries * 2 if replicas else primaries
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(Broker(cluster=True, append_only=append_only, config=config)) for _ in range(count)
        ]
        clients = [redis.Redis(port=node.port, protocol=2) for node in nodes]
        for n, client in enumerate(clients[:primaries]):
            first, behind = n * SLOTS // primaries, (n + 1) * SLOTS // primaries
            client.execute_command("CLUSTER ADDSLOTSRANGE", first, behind - 1)
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", n + 1)
        _introduce(nodes, clients)
        for primary, replica in zip(clients, clients[primaries:], strict=False):
            replica.execute_command("CLUSTER REPLICATE", _id(primary))
        if replicas:
            wait_until(lambda: all(map(_in_sync, clients[primaries:])), "the replicas to be in step")
        wait_until(lambda: all(map(_whole, clients)), "the cluster")
        for client in clients:
            client.close()
        yield nodes


def cluster_url(nodes: Sequence[Broker]) -> str:
    return "redis+cluster://" + ",".join(f"{HOST}:{node.port}" for node in nodes)


def _introduce(nodes: Sequence[Broker], clients: Sequence[Any]) -> None:
    """Each to each: hearing of the others from one of them takes seconds more."""
    for node, other in zip(nodes[1:], clients[1:], strict=True):
        bus = other.config_get("cluster-port")["cluster-port"]
        for client in clients:
            if client is not other:
                client.execute_command("CLUSTER MEET", HOST, node.port, bus)
    count = str(len(nodes))
    wait_until(lambda: all(_facts(client)["cluster_known_nodes"] == count for client in clients), "nodes to meet")
    wait_until(lambda: all(map(_whole, clients)), "the cluster's primaries")


def _id(client: Any) -> str:
    name = client.execute_command("CLUSTER MYID")
    return name.decode() if isinstance(name, bytes) else str(name)


def _in_sync(replica: Any) -> bool:
    return bool(replica.info("replication").get("master_link_status") == "up")


def _facts(client: Any) -> dict[str, str]:
    found: dict[str, str] = client.execute_command("CLUSTER INFO")
    return found


def _whole(client: Any) -> bool:
    info = _facts(client)
    return info["cluster_state"] == "ok" and info["cluster_slots_ok"] == str(SLOTS)

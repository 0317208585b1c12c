"""A Redis Cluster under test: three primaries and a replica of each, for users with the rights of the guide alone."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from redis.crc import key_slot

from gateway.doctor.grants import Role
from tests.cluster.backend import client
from tests.support.broker import Broker
from tests.support.redis_cluster import cluster_url, redis_cluster
from tests.support.users import login, user_lines
from tests.support.waiting import until

PRIMARIES = 3
NODE_TIMEOUT_MS = 3000
"""How long a primary is silent before its replica takes its place."""


class Shards:
    """The cluster, and who is what in it now."""

    def __init__(self, nodes: int, prefix: str) -> None:
        self.prefix = prefix
        self.brokers: list[Broker] = []
        self._stack = contextlib.ExitStack()

    async def start(self) -> None:
        config = [
            *user_lines(self.prefix, cluster=True),
            f"cluster-node-timeout {NODE_TIMEOUT_MS}",
            "cluster-allow-replica-migration no",
        ]
        made = redis_cluster(append_only=True, primaries=PRIMARIES, replicas=True, config=config)
        self.brokers = await asyncio.to_thread(self._stack.enter_context, made)

    def node_url(self, index: int) -> str:
        return login(cluster_url(self.brokers), Role.NODE)

    @property
    def publisher_url(self) -> str:
        return login(cluster_url(self.brokers), Role.WORKER)

    async def close(self) -> None:
        await asyncio.to_thread(self._stack.close)

    def slot(self, channel: str) -> int:
        """Where a channel's keys are."""
        return key_slot(f"{{{channel}}}".encode())

    async def primary_of(self, slot: int) -> Broker:
        """Who serves a slot, as those have it that are up."""
        async with client(next(broker for broker in self.brokers if broker.running)) as asked:
            rows = await asked.execute_command("CLUSTER SLOTS")
        return next(self._at(int(primary[1])) for first, last, primary, *_ in _rows(rows) if first <= slot <= last)

    async def primaries(self) -> list[Broker]:
        """All of them, in the order of their slots."""
        found: list[Broker] = []
        for number in range(PRIMARIES):
            primary = await self.primary_of(number * 16_384 // PRIMARIES + 1)
            found += [primary] if primary not in found else []
        return found

    async def replica_of(self, primary: Broker) -> Broker:
        """Who follows a primary, as it says itself."""
        async with client(primary) as asked:
            facts = await asked.info("replication")
        return self._at(int(facts["slave0"]["port"]))

    async def settled(self) -> None:
        """Return when every server is a primary or follows one, and all know that the cluster is well."""
        await until(self._well, "the cluster to be well again", 60)

    async def _well(self) -> bool:
        for broker in self.brokers:
            async with client(broker) as asked:
                state = await asked.execute_command("CLUSTER INFO")
                role = await asked.info("replication")
            if state["cluster_state"] != "ok" or role.get("master_link_status", "up") != "up":
                return False
            if role["role"] == "master" and role["connected_slaves"] != 1:
                return False
        return True

    def _at(self, port: int) -> Broker:
        return next(broker for broker in self.brokers if broker.port == port)


def _rows(reply: Any) -> list[tuple[int, int, Any, Any]]:
    """CLUSTER SLOTS as Redis says it; redis-py makes a mapping of ranges of it."""
    if isinstance(reply, dict):
        return [(int(a), int(b), ("", shard["primary"][1]), None) for (a, b), shard in reply.items()]
    return [(int(row[0]), int(row[1]), row[2], None) for row in reply]

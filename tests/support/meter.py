"""What can be measured of a node from outside: its metrics, its memory, what it has in Redis."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Final

import redis.asyncio
from prometheus_client.parser import text_string_to_metric_families

from tests.support.http1 import request
from tests.support.node import Node
from tests.support.waiting import PATIENCE_S, until

OF_THE_NODE: Final = {"generation", "started_at", "version", "draining", "delivered"}


class Meter:
    """Reads one node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def figure(self, name: str, **labels: str) -> float:
        """The sum of a metric (named without ``sse_gateway_``) over all samples with these labels; 0 for none."""
        exchange = await request(self._node.base, "/metrics")
        assert exchange.status == 200
        return sum(
            sample.value
            for family in text_string_to_metric_families(exchange.body.decode())
            for sample in family.samples
            if sample.name == f"sse_gateway_{name}" and labels.items() <= sample.labels.items()
        )

    async def wait_for(self, name: str, value: float, timeout_s: float = PATIENCE_S, **labels: str) -> None:
        """Return when a metric has this value."""

        found = float("nan")

        async def has_value() -> bool:
            nonlocal found
            found = await self.figure(name, **labels)
            return found == value

        try:
            await until(has_value, name, timeout_s)
        except TimeoutError:
            raise TimeoutError(f"Waited {timeout_s:g} s for {name} to be {value:g}, which is {found:g}.") from None

    def memory(self) -> int:
        """Bytes that the process has in memory (RSS). Linux only."""
        lines = Path(f"/proc/{self._node.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) * 1024


async def counted(redis_url: str, prefix: str) -> dict[str, int]:
    """What all nodes together have counted of streams in Redis, by field; nothing that is zero."""
    found: Counter[str] = Counter()
    client: Any = redis.asyncio.Redis.from_url(redis_url, decode_responses=True)
    async with client:
        async for key in client.scan_iter(f"{prefix}:{{gateway}}:node:*"):
            fields = await client.hgetall(key)
            found.update({name: int(value) for name, value in fields.items() if name not in OF_THE_NODE})
    return dict(+found)

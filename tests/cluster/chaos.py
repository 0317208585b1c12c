"""The long run: ``python -m tests.cluster.chaos --seed N --minutes M --out FILE``, or ``make chaos``.

Every fault once, and then faults at random from the seed, under a steady load and 45 clients of every dialect on three
nodes; the last two fifths with a Sentinel trio and with a cluster of three primaries and their replicas. After each
fault it waits until everybody has recovered and checks the promise. Ends with 1 if the promise broke, and with 2 if
somebody did not recover.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.cluster import table
from tests.cluster.backend import Standalone, Topology, Trio
from tests.cluster.faults.catalogue import faults_of
from tests.cluster.faults.fault import ClusterFault, Hold
from tests.cluster.memory import Sample, rss_bytes, sampled
from tests.cluster.shards import Shards
from tests.cluster.verdict import Row
from tests.cluster.world import World, running_world
from tests.support.broker import BrokerError
from tests.support.node import NodeError

NODES, EACH = 3, 3
SHARES: Sequence[tuple[Topology, float]] = ((Standalone, 0.6), (Trio, 0.2), (Shards, 0.2))
"""How much of the time belongs to each way to run Redis."""
LOG_CHARACTERS = 20_000
SETTINGS: dict[str, Any] = {"DRAIN_S": 2, "MAX_STREAM_AGE_S": 45}


class Run:
    """One long run and what it has found."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.started = time.monotonic()
        self.faults: list[dict[str, Any]] = []
        self.samples: list[Sample] = []
        self.rows: list[Row] = []
        self.problems: list[str] = []
        self.accepted = 0
        self.logs: list[str] = []
        """What the nodes of the last phase wrote at its end."""
        self._hold = Hold(random.Random(seed), long=True)

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return round(time.monotonic() - self.started, 1)

    async def phase(self, topology: Topology, seconds: float) -> None:
        """Each fault once and then any, until the time is over."""
        until = time.monotonic() + seconds
        prefix = f"chaos-{secrets.token_hex(3)}"
        async with running_world(
            prefix, nodes=NODES, each=EACH, topology=topology, moving_clock=True, orders={"rate": 6}, **SETTINGS
        ) as world:
            try:
                async with sampled(world.nodes, self.samples, self.started, lambda: self._tell(world)):
                    await world.published(40)
                    for fault in self._order(faults_of(topology)):
                        if time.monotonic() > until:
                            break
                        await self._one(world, fault)
                    await world.finish()
            finally:
                self._keep(world)

    def _order(self, faults: Sequence[ClusterFault]) -> Iterator[ClusterFault]:
        once = list(faults)
        self._hold.rng.shuffle(once)
        return itertools.chain(once, iter(lambda: self._hold.rng.choice(faults), None))

    async def _one(self, world: World, fault: ClusterFault) -> None:
        entry: dict[str, Any] = {"name": fault.name, "from": self.now}
        self.faults.append(entry)
        before = set(world.problems())
        await fault.run(world, self._hold)
        entry["to"] = self.now
        entry["problems"] = [problem for problem in world.problems() if problem not in before]
        verdict = "; ".join(entry["problems"]) or "kept"
        table.said(f"{entry['from']:7.1f} s  {fault.name:<45} {entry['to'] - entry['from']:5.1f} s  {verdict}")
        await world.published(20)

    def _tell(self, world: World) -> None:
        world.crowd.check()
        memory = " ".join(f"{rss_bytes(node) >> 20}" for node in world.nodes)
        name = self.faults[-1]["name"] if self.faults and "to" not in self.faults[-1] else "steady"
        table.live(f"{self.now:7.1f} s  {name:<45} accepted {world.ledger.accepted_count}  RSS {memory} MB")

    def _keep(self, world: World) -> None:
        self.rows += world.rows()
        self.problems += world.problems()
        self.accepted += world.ledger.accepted_count
        self.logs = [node.log[-LOG_CHARACTERS:] for node in world.nodes]

    def report(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "seconds": self.now,
            "accepted": self.accepted,
            "problems": self.problems,
            "faults": self.faults,
            "clients": [asdict(row) for row in self.rows],
            "logs": self.logs,
            "memory": [sample._asdict() for sample in self.samples],
        }


async def chaos(run: Run, minutes: float) -> str:
    """Run it all; what went wrong with the run itself, or nothing."""
    try:
        for topology, share in SHARES:
            await run.phase(topology, minutes * 60 * share)
    except (TimeoutError, AssertionError, NodeError, BrokerError) as error:
        return f"{run.faults[-1]['name'] if run.faults else 'the start'}: {error}"
    return ""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--out", type=Path, default=Path("build/chaos.json"))
    given = parser.parse_args(arguments)
    print(f"seed {given.seed}, {given.minutes:g} minutes", flush=True)
    run = Run(given.seed)
    failure = asyncio.run(chaos(run, given.minutes))
    report = {**run.report(), "failure": failure}
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(report, indent=1))
    table.said("")
    print(table.text(run.rows))
    for problem in run.problems:
        print(f"BROKEN: {problem}")
    if failure:
        print(f"NOT RECOVERED: {failure}")
    print(f"{run.accepted} events accepted, {len(run.faults)} faults, seed {given.seed}; details in {given.out}")
    return 2 if failure else 1 if run.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

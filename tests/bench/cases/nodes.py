"""One node and two: what the second one costs, and what it costs Redis."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Final

from tests.bench.audience import Audience, settle
from tests.bench.load import LoadClient
from tests.bench.measurement import Row, Sample
from tests.bench.options import RunOptions
from tests.bench.progress import show
from tests.bench.rounds import alternate
from tests.bench.systems.gateway import Gateway
from tests.bench.systems.system import SHARED

NAME: Final = "nodes"
SUMMARY: Final = "2,000 connections on one node, and on two"
COLUMNS: Final = ("cpu_us", "redis_us_per_event", "p99_ms", "burst_per_s", "burst_redis_us_per_event")
STEADY: Final = 15
"""Events per second."""


def run(options: RunOptions) -> list[Row]:
    connections = options.connections_or(2000)[0]
    channels = [SHARED] * connections
    with ExitStack() as parts:
        crowd = []
        for nodes in (1, 2):
            show(f"{NAME}: {connections:,} connections to {_label(nodes)}")
            system = parts.enter_context(Gateway(nodes))
            plan = [system.request_at(number % nodes, SHARED) for number in range(connections)]
            client = parts.enter_context(LoadClient(system.port, plan))
            client.open(connections)
            settle(system)
            crowd.append(Audience(system, client, channels))

        def measure(each: Audience) -> Sample:
            sample = each.steady([SHARED] * round(STEADY * options.seconds_or(3.0)), STEADY)
            burst = each.burst([SHARED] * (each.system.burst_deliveries // connections)).figures
            sample.figures["burst_per_s"] = burst["deliveries_per_s"]
            sample.figures["burst_redis_us_per_event"] = burst["redis_us_per_event"]
            return sample

        name = lambda each: _label(len(each.system.pids))  # noqa: E731
        found = alternate(crowd, options.rounds_or(3), measure, name, NAME)
    setting = f"{connections:,} connections"
    return [Row(NAME, setting, f"gateway-{n}", _label(n), samples) for n, samples in enumerate(found, start=1)]


def _label(nodes: int) -> str:
    return "one node" if nodes == 1 else f"{nodes} nodes"

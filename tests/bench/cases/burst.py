"""A broadcast as fast as it can be published: how many deliveries a second come out of it."""

from __future__ import annotations

from typing import Final

from tests.bench import programs
from tests.bench.audience import Audience
from tests.bench.cases.broadcast import compare
from tests.bench.measurement import Row, Sample
from tests.bench.options import RunOptions
from tests.bench.systems.floor import Floor, JoinedFloor
from tests.bench.systems.gateway import ClientStreams, Gateway
from tests.bench.systems.handwritten import Handwritten
from tests.bench.systems.nchan import Nchan, NchanRedis
from tests.bench.systems.system import SHARED

NAME: Final = "burst"
SUMMARY: Final = "broadcast as fast as can be, to 1,000 and 10,000 connections"
COLUMNS: Final = ("deliveries_per_s", "cpu_us", "p50_ms", "p99_ms")


def run(options: RunOptions) -> list[Row]:
    rows = []
    for connections in options.connections_or(1000, 10_000):

        def measure(crowd: Audience, connections: int = connections) -> Sample:
            share = (0.2 if options.quick else 1) * (1 if programs.compiler() else 0.05)
            return crowd.burst([SHARED] * max(10, round(crowd.system.burst_deliveries * share / connections)))

        kinds = [Floor, JoinedFloor, Nchan, NchanRedis, Handwritten, Gateway, ClientStreams]
        setting = f"{connections:,} connections"
        rows += compare(NAME, setting, kinds, connections, options, options.rounds_or(3), measure)
    return rows

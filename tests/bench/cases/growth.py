"""What a delivery costs with more and more connections."""

from __future__ import annotations

from typing import Final

from tests.bench.audience import Audience
from tests.bench.cases.broadcast import STEADY_RATE, compare
from tests.bench.measurement import Row, Sample
from tests.bench.options import RunOptions
from tests.bench.systems.floor import Floor
from tests.bench.systems.gateway import Gateway
from tests.bench.systems.nchan import Nchan
from tests.bench.systems.system import SHARED

NAME: Final = "growth"
SUMMARY: Final = "cost per delivery of a steady broadcast with 500, 1,000, 2,000, 4,000 and 8,000 connections"
COLUMNS: Final = ("cpu_us", "cpu_us_per_event", "p50_ms", "p99_ms")
SIZES: Final = (500, 1000, 2000, 4000, 8000)


def run(options: RunOptions) -> list[Row]:
    """The same number of deliveries per second in each setting."""
    rows = []
    for connections in options.connections_or(*SIZES):
        rate = STEADY_RATE / connections
        events = max(4, round(rate * options.seconds_or(2.0)))

        def measure(crowd: Audience, rate: float = rate, events: int = events) -> Sample:
            return crowd.steady([SHARED] * events, rate)

        kinds = [Floor, Nchan, Gateway]
        setting = f"{connections:,} connections"
        rows += compare(NAME, setting, kinds, connections, options, options.rounds_or(3), measure)
    return rows

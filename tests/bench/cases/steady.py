"""A broadcast at an even pace, slow enough that every event is written by itself."""

from __future__ import annotations

from typing import Final

from tests.bench.audience import Audience
from tests.bench.cases.broadcast import STEADY_RATE, compare
from tests.bench.measurement import Row, Sample
from tests.bench.options import RunOptions
from tests.bench.systems.floor import Floor
from tests.bench.systems.gateway import ClientStreams, Gateway
from tests.bench.systems.handwritten import Handwritten
from tests.bench.systems.nchan import Nchan, NchanRedis
from tests.bench.systems.system import SHARED

NAME: Final = "steady"
SUMMARY: Final = "broadcast at an even pace: 30 events/s to 1,000 connections, 3 events/s to 10,000"
COLUMNS: Final = ("cpu_us", "p50_ms", "p99_ms", "p999_ms")


def run(options: RunOptions) -> list[Row]:
    rows = []
    for connections in options.connections_or(1000, 10_000):
        rate = STEADY_RATE / connections
        seconds = options.seconds_or(3.0 if connections < 5000 else 4.0)

        def measure(crowd: Audience, rate: float = rate, seconds: float = seconds) -> Sample:
            # What is asked of the others is several times what the hand-written server can do.
            events = max(3, round(rate * seconds * (0.3 if isinstance(crowd.system, Handwritten) else 1)))
            return crowd.steady([SHARED] * events, rate)

        setting = f"{connections:,} connections, {rate:g} events/s"
        kinds = [Floor, Nchan, NchanRedis, Handwritten, Gateway, ClientStreams]
        rows += compare(NAME, setting, kinds, connections, options, options.rounds_or(3), measure)
    return rows

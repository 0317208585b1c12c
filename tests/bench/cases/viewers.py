"""A channel of its own for each viewer: 2,000 jobs, and events spread over them."""

from __future__ import annotations

import itertools
from contextlib import ExitStack
from typing import Final

from tests.bench.audience import Audience, audience
from tests.bench.measurement import Row, Sample
from tests.bench.options import RunOptions
from tests.bench.progress import show
from tests.bench.rounds import alternate
from tests.bench.systems import choice
from tests.bench.systems.floor import Floor
from tests.bench.systems.gateway import Gateway
from tests.bench.systems.nchan import Nchan, NchanRedis

NAME: Final = "viewers"
SUMMARY: Final = "2,000 jobs, each with a viewer of its own, 1,500 events/s spread over them"
COLUMNS: Final = ("cpu_us_per_event", "redis_us_per_event", "p50_ms", "p99_ms", "p999_ms")
RATE: Final = 1500


def run(options: RunOptions) -> list[Row]:
    jobs = options.connections_or(2000)[0]
    channels = [f"job:{number}" for number in range(jobs)]
    events = round(RATE * options.seconds_or(3.0))
    turn = itertools.cycle(channels)
    setting = f"{jobs:,} jobs, {RATE:,} events/s"

    def measure(crowd: Audience) -> Sample:
        return crowd.steady(list(itertools.islice(turn, events)), RATE)

    with ExitStack() as parts:
        crowd = []
        for system in choice.pick([Floor, Nchan, NchanRedis, Gateway], options.systems):
            show(f"{NAME}: {jobs:,} viewers for {system.label}")
            crowd.append(parts.enter_context(audience(system, channels)))
        found = alternate(crowd, options.rounds_or(3), measure, lambda each: each.system.label, NAME)
    return [
        Row(NAME, setting, each.system.name, each.system.label, samples)
        for each, samples in zip(crowd, found, strict=True)
    ]

"""Some of everything on one process: a broadcast, jobs with a viewer each, topics with a few."""

from __future__ import annotations

import random
from contextlib import ExitStack
from typing import Final

from tests.bench.audience import Audience, audience
from tests.bench.load import Request
from tests.bench.measurement import Row, Sample
from tests.bench.options import RunOptions
from tests.bench.progress import show
from tests.bench.rounds import alternate
from tests.bench.systems import choice
from tests.bench.systems.gateway import Gateway
from tests.bench.systems.nchan import Nchan, NchanRedis
from tests.bench.systems.system import SHARED, System

NAME: Final = "mix"
SUMMARY: Final = "a broadcast to 1,000, 500 jobs with a viewer each, 50 topics with 10 each, all at once"
COLUMNS: Final = ("cpu_us", "redis_us_per_event", "p50_ms", "p99_ms", "p999_ms")
LISTENERS: Final = 1000
JOBS: Final = 500
TOPICS: Final = 50
PER_TOPIC: Final = 10
BROADCASTS_PER_S: Final = 10
JOB_EVENTS_PER_S: Final = 400
TOPIC_EVENTS_PER_S: Final = 50
RATE: Final = BROADCASTS_PER_S + JOB_EVENTS_PER_S + TOPIC_EVENTS_PER_S


def run(options: RunOptions) -> list[Row]:
    jobs = [f"job:{number}" for number in range(JOBS)]
    topics = [f"topic:{number}" for number in range(TOPICS)]
    channels = [SHARED] * LISTENERS + jobs + topics * PER_TOPIC
    seconds = options.seconds_or(3.0)
    order = random.Random(1)
    publish = [SHARED] * round(BROADCASTS_PER_S * seconds)
    publish += order.choices(jobs, k=round(JOB_EVENTS_PER_S * seconds))
    publish += order.choices(topics, k=round(TOPIC_EVENTS_PER_S * seconds))
    order.shuffle(publish)

    def measure(crowd: Audience) -> Sample:
        return crowd.steady(publish, RATE)

    with ExitStack() as parts:
        crowd = []
        for system in choice.pick([Nchan, NchanRedis, Gateway], options.systems):
            show(f"{NAME}: {len(channels):,} connections to {system.label}")
            crowd.append(parts.enter_context(audience(system, channels, requests(system, channels))))
        found = alternate(crowd, options.rounds_or(3), measure, lambda each: each.system.label, NAME)
    setting = f"{len(channels):,} connections, {RATE} events/s"
    return [
        Row(NAME, setting, each.system.name, each.system.label, samples)
        for each, samples in zip(crowd, found, strict=True)
    ]


def requests(system: System, channels: list[str]) -> list[Request]:
    """Half of the broadcast's listeners speak the dialect ``clients``, where there is one."""
    found = [system.request(channel) for channel in channels]
    if isinstance(system, Gateway):
        for number in range(LISTENERS // 2):
            found[number] = Request(f"/api/sse/subscribe/viewer-{number}")
    return found

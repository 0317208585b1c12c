"""A storm of returning clients: all come back at once with their cursors and are owed what they missed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

from tests.bench.audience import Audience, audience, settle
from tests.bench.measurement import Row, Sample
from tests.bench.options import RunOptions
from tests.bench.progress import show
from tests.bench.rounds import alternate
from tests.bench.systems import choice
from tests.bench.systems.gateway import Gateway
from tests.bench.systems.nchan import Nchan, NchanRedis
from tests.bench.systems.system import SHARED, System

NAME: Final = "resume"
SUMMARY: Final = "5,000 clients come back at once, 20 missed events each; on one channel, and on a channel each"
COLUMNS: Final = ("caught_up_s", "cpu_s", "redis_cpu_s", "history_reads")
MISSED: Final = 20


def run(options: RunOptions) -> list[Row]:
    clients = options.connections_or(5000)[0]
    own = [f"job:{number}" for number in range(clients)]
    return [
        *storm("one channel", [SHARED] * clients, [Nchan, NchanRedis, Gateway], options),
        # nchan's Redis store takes half a minute for the 100,000 events of each round.
        *storm("a channel each", own, [Nchan, Gateway], options),
    ]


def storm(setting: str, channels: Sequence[str], kinds: list[type[System]], options: RunOptions) -> list[Row]:
    title = f"{len(channels):,} clients, {setting}"
    with ExitStack() as parts:
        crowd = []
        for system in choice.pick(kinds, options.systems):
            show(f"{NAME}, {title}: {system.label}")
            crowd.append(parts.enter_context(audience(system, channels)))
        found = alternate(crowd, options.rounds_or(3), come_back, lambda each: each.system.label, f"{NAME}, {title}")
    return [
        Row(NAME, title, each.system.name, each.system.label, samples)
        for each, samples in zip(crowd, found, strict=True)
    ]


def come_back(crowd: Audience) -> Sample:
    """Seconds from the first reconnect to the last missed event."""
    system, client, channels = crowd.system, crowd.client, list(crowd.listeners)
    client.track(True)
    seen = client.events()
    system.send_many(channels)  # so that every client has a cursor
    client.wait(seen + len(crowd.channels))
    client.track(False)
    client.close_streams()
    settle(system)
    system.send_many(channels * MISSED)
    settle(system)
    reads = system.history_reads() if isinstance(system, Gateway) else 0
    seen, cpu, redis_cpu = client.events(), system.cpu(), system.redis_cpu()
    opening = client.open(len(crowd.channels))
    end = client.wait(seen + MISSED * len(crowd.channels))
    figures = {
        "caught_up_s": end - opening.start,
        "cpu_s": system.cpu() - cpu,
        "redis_cpu_s": system.redis_cpu() - redis_cpu,
    }
    if isinstance(system, Gateway):
        figures["history_reads"] = float(system.history_reads() - reads)
    client.histogram()
    settle(system)
    return Sample(figures)

"""What an open stream costs in memory while nothing happens."""

from __future__ import annotations

from typing import Final, NamedTuple

from tests.bench.audience import settle
from tests.bench.load import Request
from tests.bench.measurement import Row, Sample
from tests.bench.options import RunOptions
from tests.bench.progress import show
from tests.bench.systems import choice
from tests.bench.systems.gateway import Gateway
from tests.bench.systems.handwritten import Handwritten
from tests.bench.systems.nchan import Nchan, NchanRedis
from tests.bench.systems.system import SHARED, System

NAME: Final = "memory"
SUMMARY: Final = "memory per idle connection, 10,000 of them; with a token and without"
COLUMNS: Final = ("kib_per_connection", "opens_per_s")
WARM_UP: Final = 50
"""Streams that are opened and closed before the first look, so that what a process loads once does not count."""


class Contestant(NamedTuple):
    system: System
    variant: str
    requests: list[Request]

    @property
    def name(self) -> str:
        return "-".join(filter(None, (self.system.name, self.variant)))

    @property
    def label(self) -> str:
        return ", ".join(filter(None, (self.system.label, self.variant)))


def run(options: RunOptions) -> list[Row]:
    """One round for each: a process's memory does not vary from round to round, but each takes a fresh one."""
    rows = []
    for connections in options.connections_or(10_000):
        for each in contestants(connections, options):
            show(f"{NAME}: {len(each.requests) - WARM_UP:,} connections to {each.label}")
            rows.append(Row(NAME, f"{connections:,} connections", each.name, each.label, [measure(each)]))
    return rows


def contestants(connections: int, options: RunOptions) -> list[Contestant]:
    found = []
    for system in choice.pick([Nchan, NchanRedis, Handwritten, Gateway], options.systems):
        count = min(connections, system.most_connections) + WARM_UP
        found.append(Contestant(system, "", [system.request(SHARED)] * count))
        if isinstance(system, Gateway):
            tokens = [system.__class__.authorized(number) for number in range(count)]
            own = [system.__class__.own_client(number) for number in range(count)]
            found += [Contestant(Gateway(), "jwt", tokens), Contestant(Gateway(), "jwt-own", own)]
    return found


def measure(each: Contestant) -> Sample:
    count = len(each.requests) - WARM_UP
    with each.system as system:
        with system.listen(each.requests[count:]) as client:
            client.open(WARM_UP)
        settle(system)
        before = system.memory_kib()
        with system.listen(each.requests[:count]) as client:
            opening = client.open(count)
            settle(system)
            grown = system.memory_kib() - before
        return Sample({"kib_per_connection": grown / count, "opens_per_s": opening.per_second})

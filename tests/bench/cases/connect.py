"""How many new streams a second one process takes, up to the first bytes of their responses."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final, NamedTuple

from tests.bench.audience import settle
from tests.bench.load import Request
from tests.bench.measurement import Row, Sample
from tests.bench.options import RunOptions
from tests.bench.rounds import alternate
from tests.bench.systems import choice
from tests.bench.systems.floor import Floor
from tests.bench.systems.gateway import Gateway
from tests.bench.systems.handwritten import Handwritten
from tests.bench.systems.nchan import Nchan, NchanRedis
from tests.bench.systems.system import SHARED, System

NAME: Final = "connect"
SUMMARY: Final = "new streams per second, with a token each and without"
COLUMNS: Final = ("opens_per_s", "cpu_us_per_open")


class Contestant(NamedTuple):
    """``request`` makes the request of the user with this number, whom nobody has seen before."""

    system: System
    variant: str
    request: Callable[[int], Request]

    @property
    def name(self) -> str:
        return "-".join(filter(None, (self.system.name, self.variant)))

    @property
    def label(self) -> str:
        return ", ".join(filter(None, (self.system.label, self.variant)))


def run(options: RunOptions) -> list[Row]:
    systems = choice.pick([Floor, Nchan, NchanRedis, Handwritten, Gateway], options.systems)
    with ExitStack() as parts:
        crowd = [each for system in systems for each in contestants(parts.enter_context(system))]
        return compare(crowd, options, NAME)


def compare(crowd: list[Contestant], options: RunOptions, case: str) -> list[Row]:
    """A row for each, from rounds in turns."""
    streams = options.connections_or(3000)[0]
    users = itertools.count()

    def measure(each: Contestant) -> Sample:
        count = min(streams, each.system.most_connections)
        requests = [each.request(next(users)) for _ in range(count)]
        with each.system.listen(requests) as client:
            cpu = each.system.cpu()
            opening = client.open(count)
            settle(each.system)  # what an opening leaves to be done belongs to its cost
            used = each.system.cpu() - cpu
        settle(each.system)
        return Sample({"opens_per_s": opening.per_second, "cpu_us_per_open": used / count * 1e6})

    found = alternate(crowd, options.rounds_or(5), measure, lambda each: each.label, case)
    return [
        Row(case, f"{streams:,} streams", each.name, each.label, samples)
        for each, samples in zip(crowd, found, strict=True)
    ]


def contestants(system: System) -> list[Contestant]:
    plain = Contestant(system, "", lambda number: system.request(SHARED))
    if not isinstance(system, Gateway):
        return [plain]
    return [plain, Contestant(system, "jwt", Gateway.authorized), Contestant(system, "jwt-own", Gateway.own_client)]

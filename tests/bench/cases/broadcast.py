"""What the cases with one shared channel have in common."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

from tests.bench.audience import Audience, audience
from tests.bench.measurement import Row, Sample
from tests.bench.options import RunOptions
from tests.bench.progress import show
from tests.bench.rounds import alternate
from tests.bench.systems import choice
from tests.bench.systems.system import SHARED, System


def compare(
    case: str,
    setting: str,
    kinds: list[type[System]],
    connections: int,
    options: RunOptions,
    rounds: int,
    measure: Callable[[Audience], Sample],
) -> list[Row]:
    """One setting: all systems with so many viewers of one channel, in turn."""
    fitting = [kind for kind in kinds if kind.most_connections >= connections]
    with ExitStack() as parts:
        crowd = []
        for system in choice.pick(fitting, options.systems):
            show(f"{case}, {setting}: {connections:,} connections to {system.label}")
            crowd.append(parts.enter_context(audience(system, [SHARED] * connections)))
        found = alternate(crowd, rounds, measure, lambda each: each.system.label, f"{case}, {setting}")
    return [
        Row(case, setting, each.system.name, each.system.label, samples)
        for each, samples in zip(crowd, found, strict=True)
    ]


STEADY_RATE: Final = 30_000
"""Deliveries per second that are asked of each system: nothing that needs merging."""

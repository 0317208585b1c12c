"""What a round brings, and what all rounds of one system in one setting bring together. Pure."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

from tests.bench.histogram import Histogram, percentile

PERCENTILES = {"p50_ms": 50.0, "p99_ms": 99.0, "p999_ms": 99.9}


@dataclass
class Sample:
    """One round: figures by name, and how late the deliveries were."""

    figures: dict[str, float]
    latency: Histogram = field(default_factory=Histogram)

    def __post_init__(self) -> None:
        if self.latency:
            self.figures.update({name: percentile(self.latency, p) for name, p in PERCENTILES.items()})


@dataclass
class Row:
    """One system in one setting of one case."""

    case: str
    setting: str
    system: str
    label: str
    samples: list[Sample]

    def figure(self, name: str) -> float:
        """The median over the rounds; NaN where it was not measured."""
        found = [sample.figures[name] for sample in self.samples if name in sample.figures]
        return statistics.median(found) if found else float("nan")

    def names(self) -> list[str]:
        """What was measured."""
        return list(dict.fromkeys(name for sample in self.samples for name in sample.figures))

"""The metrics in the text format of Prometheus, written when it asks: of one process, or of several together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.metrics import process
from gateway.metrics.counters import Metrics
from gateway.metrics.histogram import Histogram
from gateway.metrics.rows import PREFIX, ROWS, MetricRow

PROCESS_LABEL: Final = "process"


class MetricFigures(NamedTuple):
    """One metric with its samples (name, labels, value); goes through JSON and back, as a list."""

    name: str
    meaning: str
    kind: str
    samples: list[tuple[str, dict[str, str], float]]


def figures(metrics: Metrics) -> list[MetricFigures]:
    """Everything that this process counts, as it is now."""
    return [
        MetricFigures(each.name, each.documentation, each.type, [(s.name, s.labels, s.value) for s in each.samples])
        for each in _families(metrics)
    ]


def joined(processes: Mapping[str, list[MetricFigures]]) -> list[MetricFigures]:
    """What several processes count, with a label that says which of them."""
    found: dict[str, MetricFigures] = {}
    for number, families in processes.items():
        for name, meaning, kind, samples in families:
            family = found.setdefault(name, MetricFigures(name, meaning, kind, []))
            family.samples.extend(
                (sample, {**labels, PROCESS_LABEL: number}, value) for sample, labels, value in samples
            )
    return list(found.values())


def exposition(families: list[MetricFigures]) -> bytes:
    """The answer to a scrape."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Reader(families))
    return generate_latest(registry)


class _Reader(Collector):
    def __init__(self, families: list[MetricFigures]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        for name, meaning, kind, samples in self._families:
            family = Metric(name, meaning, kind)
            for sample, labels, value in samples:
                family.add_sample(sample, labels, value)
            yield family


def _families(metrics: Metrics) -> Iterator[Metric]:
    for row in ROWS:
        yield _family(row, row.read(metrics))
    yield from process.families()


def _family(row: MetricRow, value: float | Counter[str] | Histogram) -> Metric:
    name = f"{PREFIX}_{row.name}"
    if isinstance(value, Histogram):
        return HistogramMetricFamily(name, row.meaning, buckets=value.buckets(), sum_value=value.sum)
    kind = CounterMetricFamily if row.kind == "counter" else GaugeMetricFamily
    if not isinstance(value, Counter):
        return kind(name, row.meaning, value=value)
    family = kind(name, row.meaning, labels=[row.label])
    for key, count in value.items():
        family.add_metric([key], count)
    return family

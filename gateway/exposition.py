"""The metrics in the text format of Prometheus, written when it asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway import process_figures
from gateway.histogram import Histogram
from gateway.metric_rows import PREFIX, ROWS, Row
from gateway.metrics import Metrics


def exposition(metrics: Metrics) -> bytes:
    """The answer to a scrape."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Reader(metrics))
    return generate_latest(registry)


class _Reader(Collector):
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        for row in ROWS:
            yield _family(row, row.read(self._metrics))
        yield from process_figures.families()


def _family(row: Row, value: float | Counter[str] | Histogram) -> Metric:
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

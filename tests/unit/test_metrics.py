"""The metrics that are promised are there, documented, and complete from the start."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

import gateway.mercure.encoder  # noqa: F401 (a dialect too)
from gateway import app as app
from gateway.closing import Closing
from gateway.fanout.encoder import Encoder
from gateway.metrics.counters import Metrics
from gateway.metrics.exposition import exposition, figures
from gateway.metrics.histogram import Histogram
from gateway.metrics.labels import CLOSED, DIALECTS, REFUSED
from gateway.metrics.rows import PREFIX, ROWS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"
PROMISED = {
    "connections": "dialect",
    "connections_opened_total": "dialect",
    "connections_closed_total": "reason",
    "connections_refused_total": "reason",
    "connection_duration_seconds": "",
    "channels": "",
    "events_received_total": "",
    "events_delivered_total": "dialect",
    "bytes_sent_total": "",
    "delivery_latency_seconds": "",
    "resumes_total": "result",
    "replayed_events_total": "",
    "gaps_repaired_total": "",
    "resets_total": "reason",
    "queue_bytes": "",
    "redis_up": "",
    "redis_reconnects_total": "reason",
    "redis_probe_seconds": "",
    "unreadable_total": "kind",
    "event_loop_lag_seconds": "",
    "draining": "",
    "build_info": "version",
}


def test_the_names_and_labels_are_those_that_were_promised() -> None:
    assert {row.name: row.label for row in ROWS} == PROMISED


def test_every_dialect_is_a_label_value() -> None:
    encoders = [each for each in Encoder.__subclasses__() if each.__module__.startswith("gateway.")]
    assert {each.name for each in encoders} == set(DIALECTS)


def test_every_reason_to_end_or_refuse_a_stream_is_a_label_value() -> None:
    assert {each.reason for each in Closing} <= CLOSED.keys() | REFUSED.keys()


def test_a_new_node_shows_every_series_of_every_metric() -> None:
    """A counter that appeared with its first event would hide it from every rate."""
    shown: dict[str, list[dict[str, str]]] = {}
    for family in text_string_to_metric_families(exposition(figures(Metrics("0.1"))).decode()):
        for sample in family.samples:
            shown.setdefault(sample.name.removeprefix(f"{PREFIX}_"), []).append(sample.labels)
    for row in ROWS:
        name = f"{row.name}_count" if row.kind == "histogram" else row.name
        series = [{row.label: value} for value in row.values] if row.label else [{}]
        assert shown[name] == ([{"version": "0.1"}] if row.name == "build_info" else series), name


def test_a_histogram_counts_up_to_each_bound() -> None:
    histogram = Histogram((1.0, 5.0))
    for value, weight in ((0.5, 1), (1.0, 1), (3.0, 10), (9.0, 2)):
        histogram.observe(value, weight)
    assert histogram.buckets() == [("1.0", 2), ("5.0", 12), ("+Inf", 14)]
    assert histogram.sum == 49.5

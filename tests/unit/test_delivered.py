"""What a node has delivered, as it travels to the other nodes."""

from __future__ import annotations

import pytest

from gateway.metrics.counters import Metrics
from gateway.presence.delivered import BUCKETS, Delivered


def test_figures_survive_the_way_through_redis() -> None:
    metrics = Metrics("1")
    metrics.events_delivered["native"] += 3
    metrics.latency.observe(0.004, 2)
    metrics.latency.observe(60)
    figures = Delivered.now(metrics)
    assert figures.events == 3
    assert len(figures.latency) == BUCKETS
    assert (sum(figures.latency), figures.latency[-1]) == (3, 1)
    assert Delivered.parse(str(figures).encode()) == figures


@pytest.mark.parametrize("text", [None, b"", b"1 2", b"1 2 x" + b" 0" * BUCKETS, b"0" * 40, b"1 " * 40])
def test_a_node_that_says_nothing_readable_has_delivered_nothing(text: bytes | None) -> None:
    """An older node, or one of a version with other buckets."""
    assert Delivered.parse(text) == Delivered.nothing()

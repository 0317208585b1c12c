"""The figures of a load test, as they are written to JSON. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from gateway.bench.choices import Choices
from gateway.bench.lag import Lag
from gateway.bench.scrape import NodeSample
from gateway.bench.viewers import Viewers


class NodeView(NamedTuple):
    """One node before the streams, with all of them idle, and after the events."""

    url: str
    before: NodeSample | None
    idle: NodeSample | None
    after: NodeSample | None


class Published(NamedTuple):
    """What the publishing process has told."""

    events: int
    seconds: float
    error: str
    call_ms: dict[str, float | None]


def result(
    choices: Choices, viewers: Viewers, published: Published, nodes: Sequence[NodeView], lag: Lag, took_s: float
) -> dict[str, Any]:
    """All figures; ``took_s`` is the time from the first event to the last delivery."""
    return {
        "asked": choices.asked(),
        "streams": _streams(viewers),
        "events": {
            "published": published.events,
            "per_s": _per(published.events, published.seconds),
            "publish_call_ms": published.call_ms,
            "error": published.error,
        },
        "deliveries": _deliveries(viewers, published.events, took_s),
        "latency_ms": viewers.latencies.summary(),
        "nodes": [node_figures(view, took_s) for view in nodes],
        "client": {
            "cpu_share": round(lag.cpu_share, 3),
            "lag_ms": lag.late.summary((50, 99)),
            "was_the_limit": lag.was_the_limit,
        },
    }


def _streams(viewers: Viewers) -> dict[str, Any]:
    return {
        "opened": viewers.opened,
        "refused": dict(viewers.refused),
        "per_s": _per(viewers.opened, viewers.opening_s),
        "open_ms": viewers.open_times.summary((50, 99)),
        "ended": dict(viewers.ended),
        "reopened": viewers.reopened,
        "open_at_the_end": viewers.open_now,
    }


def _deliveries(viewers: Viewers, published: int, took_s: float) -> dict[str, Any]:
    """``lost`` counts what open streams did not get and were not told about."""
    lost = away = expected = 0
    for listener, last in viewers.lasts(published):
        expected += last
        between, at_the_end = listener.ledger.lacking(last)
        lost += between
        if listener.open:
            lost += at_the_end
        else:
            away += at_the_end
    ledgers = [listener.ledger for listener in viewers.listeners]
    return {
        "received": viewers.deliveries,
        "expected": expected,
        "per_s": _per(viewers.deliveries, took_s),
        "lost": lost,
        "repeated": sum(ledger.repeated for ledger in ledgers),
        "out_of_order": sum(ledger.disordered for ledger in ledgers),
        "resets": viewers.resets,
        "skipped_by_resets": sum(ledger.skipped for ledger in ledgers),
        "missing_on_closed_streams": away,
    }


def node_figures(view: NodeView, took_s: float) -> dict[str, Any]:
    """What the node told of itself; None where it told nothing, or where not one but several answered."""
    before, idle, after = view.before, view.idle, view.after
    same = len({sample.started_at for sample in (before, idle, after) if sample is not None}) <= 1
    if not same:  # the figures of one node less those of another mean nothing
        before = idle = after = None
    streams = _difference(before and before.connections, idle and idle.connections)
    memory = _difference(before and before.memory_bytes, idle and idle.memory_bytes)
    cpu = _difference(idle and idle.cpu_s, after and after.cpu_s)
    delivered = _difference(idle and idle.delivered, after and after.delivered)
    return {
        "url": view.url,
        "one_node": same,
        "connections": [sample and sample.connections for sample in (before, idle, after)],
        "memory_bytes": [sample and sample.memory_bytes for sample in (before, idle, after)],
        "bytes_per_connection": round(memory / streams) if memory is not None and streams and streams > 0 else None,
        "cpu_share": round(cpu / took_s, 3) if cpu is not None and took_s else None,
        "deliveries": None if delivered is None else round(delivered),
        "cpu_us_per_delivery": round(cpu / delivered * 1e6, 2) if cpu is not None and delivered else None,
    }


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def _per(count: float, seconds: float) -> float:
    return round(count / seconds, 1) if seconds > 0 else 0.0

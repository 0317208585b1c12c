"""Every metric of a node: its name, type, unit, label, meaning, and when to worry; one row each.

The reference page is made from these rows: ``python -m gateway.reference metrics > docs/reference/metrics.md``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from gateway.metrics.counters import Metrics
from gateway.metrics.histogram import Histogram
from gateway.metrics.labels import CLOSED, DIALECTS, RECONNECTS, REFUSED, RESETS, RESUMES, UNREADABLE, Values

PREFIX: Final = "sse_gateway"
MetricKind = Literal["counter", "gauge", "histogram"]


class MetricRow(NamedTuple):
    """One metric. ``read`` gives its value, or one per label value; ``worry`` says when it calls for somebody."""

    name: str
    kind: MetricKind
    unit: str
    meaning: str
    worry: str
    read: Callable[[Metrics], float | Counter[str] | Histogram]
    label: str = ""
    values: Values = MappingProxyType({})


ROWS: Final = (
    MetricRow(
        "connections",
        "gauge",
        "streams",
        "Open streams.",
        "It nears `GATEWAY_MAX_CONNECTIONS`, or falls by more than a fifth within minutes while nobody deploys.",
        lambda m: m.open_by_dialect,
        "dialect",
        DIALECTS,
    ),
    MetricRow(
        "connections_opened_total",
        "counter",
        "streams",
        "Streams opened.",
        "Its rate is many times the usual one: clients reconnect in circles.",
        lambda m: m.opened,
        "dialect",
        DIALECTS,
    ),
    MetricRow(
        "connections_closed_total",
        "counter",
        "streams",
        "Streams ended, by reason.",
        "`internal_error` at all; `stalled` or `protocol_error` in numbers: a proxy buffers or rewrites.",
        lambda m: m.closed,
        "reason",
        CLOSED,
    ),
    MetricRow(
        "connections_refused_total",
        "counter",
        "requests",
        "Streams refused, by reason.",
        "`node_limit` and `rate_limit`: more nodes are needed. `invalid_token` from one moment to the next: a key "
        "has changed on one side only.",
        lambda m: m.refused,
        "reason",
        REFUSED,
    ),
    MetricRow(
        "connection_duration_seconds",
        "histogram",
        "s",
        "How long streams were open, counted when they end.",
        "The median falls to the idle limit of a proxy (30 s, 60 s): it does not let heartbeats through.",
        lambda m: m.durations,
    ),
    MetricRow(
        "channels", "gauge", "channels", "Channels this node listens to.", "Never by itself.", lambda m: m.channels
    ),
    MetricRow(
        "events_received_total",
        "counter",
        "events",
        "Messages that Redis brought, for channels that somebody listens to.",
        "It stands still while workers publish.",
        lambda m: m.events_received,
    ),
    MetricRow(
        "events_delivered_total",
        "counter",
        "events",
        "Events handed to live streams, one per stream.",
        "It stands still while `events_received_total` moves and streams are open.",
        lambda m: m.events_delivered,
        "dialect",
        DIALECTS,
    ),
    MetricRow(
        "bytes_sent_total",
        "counter",
        "bytes",
        "Bytes written to streams, counted when they end.",
        "Never by itself.",
        lambda m: m.bytes_sent,
    ),
    MetricRow(
        "delivery_latency_seconds",
        "histogram",
        "s",
        "From published to handed to the sockets, one observation per event and stream, by the clock of Redis.",
        "The 99th percentile is over 0.5 s: the node has too much to do, or Redis is far away.",
        lambda m: m.latency,
    ),
    MetricRow(
        "resumes_total",
        "counter",
        "channels",
        "Streams that came with a cursor, per channel, by what became of it.",
        "The share of `reset` is over a few per cent: histories are shorter than clients are away.",
        lambda m: m.resumes,
        "result",
        RESUMES,
    ),
    MetricRow(
        "replayed_events_total",
        "counter",
        "events",
        "Events sent from the history.",
        "Its rate is higher than that of `events_delivered_total`: clients fall behind again and again.",
        lambda m: m.replayed,
    ),
    MetricRow(
        "gaps_repaired_total",
        "counter",
        "gaps",
        "Times that messages which pub/sub had lost were found in the history. Nobody missed anything.",
        "It rises without a reconnection to Redis: the output buffer for pub/sub is too small.",
        lambda m: m.gaps_repaired,
    ),
    MetricRow(
        "resets_total",
        "counter",
        "resets",
        "Times that missed messages could not be replayed; clients were told, and got the newest state.",
        "`history_lost` outside of a known loss of Redis; `history_trimmed` often: the history is too short.",
        lambda m: m.resets,
        "reason",
        RESETS,
    ),
    MetricRow(
        "queue_bytes",
        "gauge",
        "bytes",
        "Bytes waiting for slow clients, over all streams.",
        "It keeps rising: many clients do not read. One stream holds at most `GATEWAY_QUEUE_BYTES`.",
        lambda m: m.queue_bytes,
    ),
    MetricRow(
        "redis_up",
        "gauge",
        "0 or 1",
        "1 while the node hears Redis.",
        "It is 0 for 30 s: nothing is delivered, and `/readyz` says 503.",
        lambda m: float(m.redis_up),
    ),
    MetricRow(
        "redis_reconnects_total",
        "counter",
        "connections",
        "Pub/sub connections lost, by reason; each is made anew at once.",
        "More than a few per hour; `deaf` at all: something on the way drops connections without a word.",
        lambda m: m.reconnects,
        "reason",
        RECONNECTS,
    ),
    MetricRow(
        "redis_probe_seconds",
        "gauge",
        "s",
        "How long the last probe through Redis took. One is sent when nothing has arrived for 8 s; 0 before the first.",
        "It is over 0.1 s: Redis or the way to it is slow.",
        lambda m: m.probe_seconds,
    ),
    MetricRow(
        "unreadable_total",
        "counter",
        "rows",
        "What was found in Redis and passed over because it could not be read, by kind.",
        "It rises at all: something else writes to the keys or channels of this prefix, or another version does.",
        lambda m: m.unreadable.counts,
        "kind",
        UNREADABLE,
    ),
    MetricRow(
        "event_loop_lag_seconds",
        "histogram",
        "s",
        "How late the node's own clock tick was, about once a second.",
        "The 99th percentile is over 0.25 s: the node has too much to do, or the machine is overbooked.",
        lambda m: m.lag,
    ),
    MetricRow(
        "draining",
        "gauge",
        "0 or 1",
        "1 while the node is stopping.",
        "It is 1 for longer than `GATEWAY_DRAIN_S` and half a minute.",
        lambda m: float(m.draining),
    ),
    MetricRow(
        "build_info",
        "gauge",
        "1",
        "Always 1; the label says which version runs.",
        "Nodes of one cluster differ for longer than a deployment takes.",
        lambda m: Counter({m.version: 1}),
        "version",
        {"…": "The version, such as `0.1.0`."},
    ),
)

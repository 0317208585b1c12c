"""How figures are named and shown. Pure."""

from __future__ import annotations

from typing import Final

HEADINGS: Final = {
    "quiet_p99_ms": "quiet p99 ms",
    "p99_ratio": "p99 to quiet",
    "grown_mib": "MiB more",
    "cpu_us": "CPU µs/delivery",
    "cpu_us_per_event": "CPU µs/event",
    "redis_us_per_event": "Redis µs/event",
    "deliveries_per_s": "deliveries/s",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "p999_ms": "p99.9 ms",
    "kib_per_connection": "KiB/connection",
    "opens_per_s": "streams/s",
    "cpu_us_per_open": "CPU µs/stream",
    "events_per_s": "events/s",
    "of_bare": "of bare PUBLISH",
    "publisher_us_per_event": "publisher µs/event",
    "bytes_per_delivery": "bytes/delivery",
    "burst_per_s": "burst deliveries/s",
    "burst_redis_us_per_event": "burst Redis µs/event",
    "caught_up_s": "caught up s",
    "cpu_s": "CPU s",
    "redis_cpu_s": "Redis CPU s",
    "history_reads": "history reads",
    "task_us": "CPU µs/task",
    "added_us": "with reporting, more",
    "redis_us_per_task": "Redis µs/task",
    "calls": "calls of Redis",
    "queueing_us": "queueing: CPU µs",
    "queueing_added_us": "queueing: more",
    "queueing_calls": "queueing: calls",
    "node_ms_per_s": "node ms CPU/s",
    "without_ms_per_s": "without leases",
    "redis_ms_per_s": "Redis ms CPU/s",
    "worker_ms_per_s": "worker ms CPU/s",
    "cpu_us_per_piece": "CPU µs/delivered piece",
    "redis_us_per_piece": "Redis µs/piece",
    "worker_us_per_piece": "worker µs/piece",
    "pieces_per_s": "pieces/s",
    "asked_per_interval": "questions/interval",
}


def number(value: float) -> str:
    """Three significant digits, thousands apart."""
    if value != value:
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"

"""How figures are named and shown. Pure."""

from __future__ import annotations

from typing import Final

HEADINGS: Final = {
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
}


def number(value: float) -> str:
    """Three significant digits, thousands apart."""
    if value != value:
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"

"""Figures as text. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from tests.bench.measurement import Row

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


def table(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """The medians of one case, setting by setting, for a terminal."""
    lines = []
    for (case, setting), group in groupby(rows, lambda row: (row.case, row.setting)):
        lines.append(f"{case}: {setting}")
        lines.append(" " * 34 + "".join(f"{HEADINGS.get(name, name):>18}" for name in columns))
        for row in group:
            lines.append(f"  {row.label:32}" + "".join(f"{number(row.figure(name)):>18}" for name in columns))
        lines.append("")
    return "\n".join(lines)

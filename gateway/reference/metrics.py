"""The reference page of the metrics, made from their rows."""

from __future__ import annotations

from gateway.metrics.rows import PREFIX, ROWS, MetricRow

_HEAD = f"""\
# Metrics

What `GET /metrics` tells Prometheus of one node. The tables leave out the prefix that every name carries:
`{ROWS[0].name}` is `{PREFIX}_{ROWS[0].name}`. No label ever holds a user, a job or a channel, so the number of
series does not grow with the load. All label values are there from the start, with 0, so that a rate sees the first
event too. How to scrape, the dashboard and the alerts: see [how to monitor](../howto/monitor.md).

This page is generated: `python -m gateway.reference metrics > docs/reference/metrics.md`.

| name | type | unit | labels | meaning | when to worry |
|---|---|---|---|---|---|
"""

_PROCESS = """
The process tells of itself in the usual names: `process_cpu_seconds_total`, `process_start_time_seconds` and, on Linux,
`process_resident_memory_bytes`. Worry where the memory per stream (about 6 KiB and what `queue_bytes` says) grows over
days, or where the CPU time grows by more than 0.8 s per second: a node uses one core.

With `serve --processes` the answer of any process is that of all: every sample has the label `process` besides, from 0.
"""


def reference() -> str:
    """The page as Markdown: one table of all metrics, then the values of each label."""
    lines = [_line(row) for row in ROWS]
    return "".join([_HEAD, *lines, _PROCESS, *_label_sections()])


def _line(row: MetricRow) -> str:
    label = f"[`{row.label}`](#{_anchor(row)})" if row.label else "–"
    return f"| `{row.name}` | {row.kind} | {row.unit} | {label} | {row.meaning} | {row.worry} |\n"


def _title(row: MetricRow) -> str:
    return row.label if row.label in ("dialect", "version") else f"{row.label} of {row.name}"


def _anchor(row: MetricRow) -> str:
    return _title(row).replace(" ", "-")


def _label_sections() -> list[str]:
    sections: dict[str, str] = {}
    for row in ROWS:
        if row.label:
            body = "".join(f"| `{value}` | {meaning} |\n" for value, meaning in row.values.items())
            sections[_title(row)] = f"\n## {_title(row)}\n\n| value | meaning |\n|---|---|\n{body}"
    return list(sections.values())

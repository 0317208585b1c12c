"""The figures of a load test for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

ENOUGH: Final = 20_000
"""Deliveries of a node below which its CPU per delivery would mostly be what it spends anyway."""


def report(figures: dict[str, Any], remarks: list[str]) -> str:
    return "\n".join(_lines(figures, remarks))


def _lines(figures: dict[str, Any], remarks: list[str]) -> Iterator[str]:
    streams, events, deliveries = figures["streams"], figures["events"], figures["deliveries"]
    asked, latency = figures["asked"], figures["latency_ms"]
    yield (
        f"streams     {streams['opened']:,} opened at {streams['per_s']:,.0f}/s, "
        f"{_ms(streams['open_ms']['p50'])} until open (p99 {_ms(streams['open_ms']['p99'])})"
    )
    for word, counts in (("refused", streams["refused"]), ("ended", streams["ended"])):
        if counts:
            yield f"            {sum(counts.values()):,} {word}: {_counts(counts)}"
    if streams["reopened"]:
        yield f"            {streams['reopened']:,} opened again, {streams['open_at_the_end']:,} open at the end"
    yield (
        f"events      {events['published']:,} of {asked['payload_bytes']} bytes at {events['per_s']:,.0f}/s "
        f"on {asked['channels']:,} channel{'s' if asked['channels'] > 1 else ''}"
    )
    yield f"deliveries  {deliveries['received']:,} of {deliveries['expected']:,}, {deliveries['per_s']:,.0f}/s"
    yield (
        f"            {deliveries['lost']:,} lost, {deliveries['repeated']:,} repeated, "
        f"{deliveries['out_of_order']:,} out of order, {deliveries['resets']:,} resets"
    )
    if latency["p50"] is not None:
        yield "latency     " + ", ".join(f"{name} {_ms(value)}" for name, value in latency.items())
    for node in figures["nodes"]:
        yield f"node        {node['url']}: {node_line(node)}"
    client = figures["client"]
    yield f"client      {client['cpu_share']:.0%} of a core, {_ms(client['lag_ms']['p99'])} late (p99)"
    for remark in remarks:
        yield f"! {remark}"


def node_line(node: dict[str, Any]) -> str:
    """What a node told about itself."""
    parts: list[str] = []
    memory = [value for value in node["memory_bytes"] if value is not None]
    if memory:
        parts.append(f"{max(memory) / 2**20:,.0f} MiB")
    if node["bytes_per_connection"] is not None:
        parts.append(f"{node['bytes_per_connection'] / 1024:.1f} KiB per stream")
    if node["cpu_share"] is not None:
        parts.append(f"{node['cpu_share']:.0%} of a core")
    if node["cpu_us_per_delivery"] is not None:
        enough = node["deliveries"] >= ENOUGH
        shown = f"{node['cpu_us_per_delivery']:.1f} µs" if enough else "–"
        few = "" if enough else f" (fewer than {ENOUGH:,} deliveries do not tell)"
        parts.append(f"{shown} CPU per delivery{few}")
    return ", ".join(parts) or "tells nothing about itself"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in sorted(counts.items(), key=lambda item: -item[1]))


def _ms(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value / 1000:.2f} s" if value >= 1000 else f"{value:.1f} ms" if value >= 1 else f"{value:.2f} ms"

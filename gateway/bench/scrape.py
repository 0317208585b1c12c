"""What a node tells about itself: its memory, its CPU time and its streams, from ``/metrics``."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from gateway.bench.target import Target
from gateway.http_client.client import CallError, HttpClient

TIMEOUT_S: Final = 5.0
MAX_BYTES: Final = 4 * 1024 * 1024
_SAMPLE = re.compile(r"^([a-z_]+)(?:\{[^}]*\})? ([0-9.eE+-]+)$", re.MULTILINE)


class NodeSample(NamedTuple):
    """None for what the node does not tell: process figures exist on Linux only. ``started_at`` tells one set of
    processes from another (the sum of their starts)."""

    memory_bytes: float | None
    cpu_s: float | None
    connections: float | None
    delivered: float | None
    started_at: float | None


def parse(text: str) -> NodeSample:
    """From the text format of Prometheus; the values of all labels together."""
    sums: dict[str, float] = {}
    for name, value in _SAMPLE.findall(text):
        sums[name] = sums.get(name, 0.0) + float(value)
    known = "sse_gateway_build_info" in sums
    return NodeSample(
        sums.get("process_resident_memory_bytes"),
        sums.get("process_cpu_seconds_total"),
        sums.get("sse_gateway_connections", 0.0 if known else None),
        sums.get("sse_gateway_events_delivered_total", 0.0 if known else None),
        sums.get("process_start_time_seconds"),
    )


async def scrape(target: Target, token: str | None) -> NodeSample | None:
    """One reading; None where ``/metrics`` cannot be read."""
    # Where the name was looked up once; a certificate is for the name.
    host = target.host if target.tls else target.address
    scheme, host = "https" if target.tls else "http", f"[{host}]" if ":" in host else host
    headers = {"Host": target.authority, **({"Authorization": f"Bearer {token}"} if token else {})}
    client = HttpClient(tls=target.tls)
    try:
        url = f"{scheme}://{host}:{target.port}{target.path}/metrics"
        reply = await client.call(url, headers=headers, timeout_s=TIMEOUT_S, max_bytes=MAX_BYTES)
        return parse(reply.body.decode("utf-8", "replace")) if reply.status == 200 else None
    except (CallError, ValueError):
        return None
    finally:
        await client.aclose()

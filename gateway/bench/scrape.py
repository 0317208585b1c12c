"""What a node tells about itself: its memory, its CPU time and its streams, from ``/metrics``."""

from __future__ import annotations

import http.client
import re
from typing import Final, NamedTuple

from gateway.bench.target import Target

TIMEOUT_S: Final = 5.0
MAX_BYTES: Final = 4 * 1024 * 1024
_SAMPLE = re.compile(r"^([a-z_]+)(?:\{[^}]*\})? ([0-9.eE+-]+)$", re.MULTILINE)


class Sample(NamedTuple):
    """None for what the node does not tell: process figures exist on Linux only."""

    memory_bytes: float | None
    cpu_s: float | None
    connections: float | None
    delivered: float | None


def parse(text: str) -> Sample:
    """From the text format of Prometheus; the values of all labels together."""
    sums: dict[str, float] = {}
    for name, value in _SAMPLE.findall(text):
        sums[name] = sums.get(name, 0.0) + float(value)
    known = "sse_gateway_build_info" in sums
    return Sample(
        sums.get("process_resident_memory_bytes"),
        sums.get("process_cpu_seconds_total"),
        sums.get("sse_gateway_connections", 0.0 if known else None),
        sums.get("sse_gateway_events_delivered_total", 0.0 if known else None),
    )


def scrape(target: Target, token: str | None) -> Sample | None:
    """One reading; None where ``/metrics`` cannot be read."""
    if target.tls is None:
        connection = http.client.HTTPConnection(target.address, target.port, timeout=TIMEOUT_S)
    else:
        connection = http.client.HTTPSConnection(target.host, target.port, timeout=TIMEOUT_S, context=target.tls)
    try:
        headers = {"Host": f"{target.host}:{target.port}", **({"Authorization": f"Bearer {token}"} if token else {})}
        connection.request("GET", f"{target.path}/metrics", headers=headers)
        answer = connection.getresponse()
        body = answer.read(MAX_BYTES)
        return parse(body.decode("utf-8", "replace")) if answer.status == 200 else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()

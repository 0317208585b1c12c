"""How long Redis takes to answer."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Sequence
from typing import Final

from redis import Redis
from redis.exceptions import ResponseError

from gateway.doctor.finding import Finding, ok, warning

CHECK: Final = "latency"
PINGS: Final = 50
BUDGET_S: Final = 1.5
SLOW_MS: Final = 5.0
STALL_MS: Final = 100.0


def measure(client: Redis) -> list[float]:
    """Round trips of PING in ms: :data:`PINGS` of them, or as many as fit the budget, at least one."""
    end = time.perf_counter() + BUDGET_S
    trips: list[float] = []
    while len(trips) < PINGS and (not trips or time.perf_counter() < end):
        began = time.perf_counter()
        with contextlib.suppress(ResponseError):  # a refusal travels as long
            client.ping()
        trips.append((time.perf_counter() - began) * 1000)
    return trips


def judge(trips_ms: Sequence[float]) -> Finding:
    median, longest = statistics.median(trips_ms), max(trips_ms)
    text = f"median {median:.1f} ms, longest {longest:.1f} ms of {len(trips_ms)} round trips"
    if median > SLOW_MS:
        return warning(
            CHECK,
            f"{text}; each publish and each new stream waits at least one of them",
            "Run nodes and Redis in one region and zone, and look at the load of the server's machine.",
        )
    if longest > STALL_MS:
        return warning(
            CHECK,
            f"{text}; something holds the server up now and then",
            "Look at SLOWLOG GET and LATENCY DOCTOR, at forks for snapshots, and at transparent huge pages.",
        )
    return ok(CHECK, text)

"""This machine's clock against that of Redis."""

from __future__ import annotations

import time
from typing import Any, Final, NamedTuple

from redis import Redis
from redis.exceptions import ResponseError

from gateway.doctor.finding import Finding, ok, problem, unknown, warning

CHECK: Final = "clock"
NOTICEABLE_MS: Final = 1000.0
REMEDY: Final = "Keep both machines' clocks with NTP (chronyc tracking, timedatectl)."


class Skew(NamedTuple):
    """This clock minus the one of Redis, right within ``error_ms``."""

    ms: float
    error_ms: float


def measure(client: Redis) -> Skew | None:
    """One TIME, taken to have been answered in the middle of its round trip; None where it may not be asked for."""
    before = time.time()
    try:
        # The way in which nodes ask, so that no other right is needed.
        reply: Any = client.eval("return redis.call('TIME')", 0)
    except ResponseError:
        return None
    after = time.time()
    seconds, micros = reply
    there = int(seconds) + int(micros) / 1e6
    return Skew(((before + after) / 2 - there) * 1000, max(0.0, after - before) / 2 * 1000)


def judge(skew: Skew | None, leeway_s: float) -> Finding:
    if skew is None:
        return unknown(CHECK, "the one of Redis cannot be looked at")
    surely = max(0.0, abs(skew.ms) - skew.error_ms)
    if surely <= NOTICEABLE_MS:
        return ok(CHECK, f"{abs(skew.ms):.0f} ms from the one of Redis")
    side = "ahead of" if skew.ms > 0 else "behind"
    text = f"{abs(skew.ms):.0f} ms {side} the one of Redis"
    if surely > leeway_s * 1000:
        return problem(
            CHECK,
            f"{text}, more than GATEWAY_JWT_LEEWAY_S: tokens and revocations count too long or not at all",
            REMEDY,
        )
    return warning(CHECK, f"{text}: measured delivery times are wrong by as much", REMEDY)

"""Whether the server is one, and new enough."""

from __future__ import annotations

import re
from typing import Final

from gateway.doctor.facts import Facts
from gateway.doctor.finding import Finding, ok, problem, unknown, warning

CHECK: Final = "version"
LEAST: Final = (6, 2)
"""Scripts read histories with exclusive ranges, which came with 6.2."""
SHARDED: Final = (7, 0)
UPGRADE: Final = "Upgrade to Redis 7.0, Valkey 7.2 or newer."


def judge(facts: Facts, *, cluster: bool) -> Finding:
    if is_sentinel(facts):
        return problem(
            CHECK,
            "this is a Sentinel, which keeps no data",
            "Name it as GATEWAY_REDIS_URL=redis+sentinel://HOST:PORT/SERVICE/0, with the service that it watches.",
        )
    if _mode(facts) == "cluster" and not cluster:
        return problem(
            CHECK,
            "this server belongs to a Redis Cluster, but the address names a single server",
            "Set GATEWAY_REDIS_URL=redis+cluster://HOST:PORT,HOST:PORT.",
        )
    name, text = product(facts)
    number = _number(text)
    if number is None:
        return unknown(CHECK, f"cannot be looked at; it should be {UPGRADE[11:]}")
    # Valkey says of itself that it is Redis 7.2.4, whatever its own number.
    if name == "Redis" and number < LEAST:
        return problem(CHECK, f"{name} {text} lacks commands that are needed here", UPGRADE)
    if name == "Redis" and number < SHARDED and cluster:
        return problem(CHECK, f"{name} {text} has no sharded pub/sub, which events in a Cluster go through", UPGRADE)
    if name == "Redis" and number < SHARDED:
        return warning(CHECK, f"{name} {text} is older than what this is tested with", UPGRADE)
    return ok(CHECK, f"{name} {text}")


def is_sentinel(facts: Facts) -> bool:
    """Nothing else can be asked of one."""
    return _mode(facts) == "sentinel"


def _mode(facts: Facts) -> str:
    return str(facts.info.get("redis_mode") or facts.info.get("server_mode") or "standalone")


def product(facts: Facts) -> tuple[str, str]:
    """Name and version of the server; the version is empty where it does not say."""
    if facts.info.get("valkey_version"):
        return "Valkey", str(facts.info["valkey_version"])
    return "Redis", str(facts.info.get("redis_version", ""))


def _number(text: str) -> tuple[int, int] | None:
    found = re.match(r"(\d{1,4})\.(\d{1,4})", text)
    return (int(found[1]), int(found[2])) if found else None

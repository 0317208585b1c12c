"""Whether Redis may throw keys away, or run full."""

from __future__ import annotations

from typing import Final

from gateway.doctor.facts import Facts
from gateway.doctor.finding import Finding, ok, problem, unknown, warning

CHECK: Final = "memory"
NEARLY_FULL: Final = 0.8
FULL: Final = 0.98
KEEP: Final = "maxmemory-policy noeviction"


def judge(facts: Facts, prefix: str) -> Finding:
    most, policy = facts.number("maxmemory"), str(facts.info.get("maxmemory_policy", ""))
    if most is None or not policy:
        return unknown(CHECK, f"the memory policy cannot be looked at; it should be {KEEP}")
    if most == 0:
        return warning(
            CHECK,
            "there is no limit, so that the machine's memory is the limit, and the system may kill the server",
            f"Set maxmemory to about three quarters of the machine's memory, and {KEEP}.",
        )
    if policy != "noeviction":
        return _drops(facts, policy, prefix)
    used = (facts.number("used_memory") or 0) / most
    if used >= NEARLY_FULL:
        text = f"{used:.0%} of {_size(most)} are used; a full server refuses every new event"
        remedy = "Raise maxmemory, or keep shorter histories: history_events and history_ttl_s of the publishers."
        return problem(CHECK, text, remedy) if used >= FULL else warning(CHECK, text, remedy)
    return ok(CHECK, f"{used:.0%} of {_size(most)} used, and nothing is dropped for want of it (noeviction)")


def _drops(facts: Facts, policy: str, prefix: str) -> Finding:
    risk = (
        f"every key of {prefix}:*" if policy.startswith("allkeys") else f"every key of {prefix}:* that has a time limit"
    )
    gone = facts.number("evicted_keys") or 0
    already = f"; it has dropped {gone} already" if gone else ""
    return problem(
        CHECK,
        f"maxmemory-policy {policy} may drop {risk} when memory is short: histories, so that clients start over, and "
        f"states of jobs, which vanish{already}",
        f"Set {KEEP} (CONFIG SET {KEEP}, and in the server's configuration): publishers then wait instead.",
    )


def _size(count: int) -> str:
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} bytes"

"""Whether a Redis Cluster serves all slots, and would after a failure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from gateway.doctor.finding import Finding, ok, problem, unknown, warning

CHECK: Final = "cluster"
SLOTS: Final = 16384


def judge(state: Mapping[str, str], primaries: int, replicas: int) -> Iterator[Finding]:
    """``state``: what CLUSTER INFO says, empty where it may not be asked."""
    if not state:
        yield unknown(CHECK, "CLUSTER INFO cannot be looked at")
        return
    served = int(state.get("cluster_slots_ok", SLOTS))
    if served < SLOTS or state.get("cluster_state") != "ok":
        yield problem(
            CHECK,
            f"{served} of {SLOTS} slots are served; channels in the others are dead",
            "Bring the missing primary back, or give its slots away: valkey-cli --cluster fix HOST:PORT.",
        )
    elif replicas < primaries:
        yield warning(
            CHECK,
            f"all slots are served, but {primaries} primaries have {replicas} replicas: when one fails, its channels "
            "are dead until it is back",
            "Give each primary a replica on another machine.",
        )
    else:
        yield ok(CHECK, f"all slots are served, {primaries} primaries, {replicas} replicas")

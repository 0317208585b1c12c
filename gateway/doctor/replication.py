"""Whether this server takes writes, and what its replicas know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.doctor.facts import Facts
from gateway.doctor.finding import Finding, ok, problem, unknown, warning

CHECK: Final = "replication"
LAG_S: Final = 10


def is_master(facts: Facts) -> bool:
    """Also true of a server that does not say."""
    return str(facts.info.get("role", "master")) == "master"


def judge(facts: Facts, *, failover: bool) -> Finding:
    """``failover``: replicas take over (Sentinel, Cluster), so one is needed and writes must not outrun it."""
    if "role" not in facts.info:
        return unknown(CHECK, "cannot be looked at; the address must lead to the master")
    if not is_master(facts):
        master = f"{facts.info.get('master_host', '?')}:{facts.info.get('master_port', '?')}"
        return problem(
            CHECK,
            f"this is a replica of {master}, which takes no writes, so that nothing can be published",
            "Name the master, or let nodes follow it: GATEWAY_REDIS_URL=redis+sentinel://HOST:PORT/SERVICE/0.",
        )
    replicas = list(_replicas(facts.info))
    online = [replica for replica in replicas if replica.get("state") == "online"]
    least = facts.config_number("min-replicas-to-write") or 0
    if least > len(online):
        return problem(
            CHECK,
            f"min-replicas-to-write is {least}, but {len(online)} replicas are connected: every write is refused",
            f"Bring the replicas back, or set min-replicas-to-write {len(online)}.",
        )
    return _of_master(facts, replicas, online, failover)


def _of_master(
    facts: Facts, replicas: list[Mapping[str, Any]], online: list[Mapping[str, Any]], failover: bool
) -> Finding:
    late = [each for each in replicas if each not in online or _lag_s(each) > LAG_S]
    if late:
        names = ", ".join(f"{each.get('ip', '?')}:{each.get('port', '?')}" for each in late)
        return warning(
            CHECK,
            f"{len(late)} of {len(replicas)} replicas lag ({names}); a failover to one of them loses events",
            "Look at their logs, at the network between them, and at repl-backlog-size.",
        )
    if not replicas and failover:
        return warning(
            CHECK, "a master without a replica: when it fails, nobody takes over", "Add a replica on another machine."
        )
    if failover and facts.config_number("min-replicas-to-write") == 0:
        return warning(
            CHECK,
            f"master with {_count(len(replicas))}; a master that is cut off goes on taking events, which are then lost",
            "Set min-replicas-to-write 1 and min-replicas-max-lag 10, if there are two replicas or more.",
        )
    return ok(CHECK, f"master with {_count(len(replicas))}")


def _replicas(info: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for number in range(min(100, int(info.get("connected_slaves", 0)))):
        replica = info.get(f"slave{number}")
        if isinstance(replica, dict):
            yield replica


def _lag_s(replica: Mapping[str, Any]) -> int:
    lag = replica.get("lag", 0)
    return int(lag) if isinstance(lag, int) else 0


def _count(number: int) -> str:
    return {0: "no replicas", 1: "1 replica"}.get(number, f"{number} replicas")

"""The Sentinels of the Redis URL: who answers, whom they call master, and whether they could elect another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from redis import Redis
from redis.exceptions import RedisError, ResponseError

from gateway.doctor.finding import Finding, ok, problem, warning

CHECK: Final = "sentinel"
ENOUGH: Final = 3


class SentinelAnswer(NamedTuple):
    """What one Sentinel says. ``error``: why it says nothing of the service; ``sentinels``: how many watch it."""

    address: str
    master: str = ""
    sentinels: int = 0
    quorum: str = ""
    """What CKQUORUM complains of; empty when an election is possible."""
    error: str = ""


def ask(client: Redis, address: str, service: str) -> SentinelAnswer:
    """Ask one Sentinel; whatever fails becomes part of the answer."""
    try:
        state: Any = client.sentinel_master(service)
    except ResponseError as error:
        unknown = "no such master" in str(error).lower()
        return SentinelAnswer(address, error=f"does not know the service {service}" if unknown else "is no Sentinel")
    except (RedisError, OSError) as error:
        return SentinelAnswer(address, error=f"does not answer ({type(error).__name__})")
    complaint = ""
    try:
        client.execute_command("SENTINEL CKQUORUM", service)
    except (RedisError, OSError) as error:
        complaint = str(error)
    return SentinelAnswer(
        address, f"{state['ip']}:{state['port']}", 1 + int(state.get("num-other-sentinels", 0)), complaint[:200]
    )


def judge(answers: Sequence[SentinelAnswer], service: str) -> Iterator[Finding]:
    mute = [answer for answer in answers if answer.error]
    useful = [answer for answer in answers if not answer.error]
    for answer in mute:
        level = warning if useful else problem
        yield level(
            CHECK, f"{answer.address} {answer.error}", "Correct its address in GATEWAY_REDIS_URL, or bring it back."
        )
    masters = {answer.master for answer in useful}
    if len(masters) > 1:
        yield problem(
            CHECK,
            f"they disagree about the master of {service}: {', '.join(sorted(masters))}",
            "Wait for a failover to end; if it lasts, SENTINEL RESET the ones that are wrong.",
        )
    elif useful:
        yield _election(useful, service)


def _election(useful: Sequence[SentinelAnswer], service: str) -> Finding:
    complaints = [answer for answer in useful if answer.quorum]
    known = max(answer.sentinels for answer in useful)
    if complaints:
        return problem(
            CHECK,
            f"no failover of {service} is possible now: {complaints[0].quorum}",
            "Bring back the Sentinels that are away; the quorum must be in reach of those that are left.",
        )
    if known < ENOUGH:
        return warning(
            CHECK,
            f"{_count(known)} for {service}: when one machine fails, there is no majority for a failover",
            "Run three, on three machines, and name all of them in GATEWAY_REDIS_URL.",
        )
    if len(useful) < 2:
        return warning(
            CHECK,
            f"one of {known} Sentinels is in the address: a node that starts while it is away finds nothing",
            "Name all of them in GATEWAY_REDIS_URL.",
        )
    return ok(CHECK, f"{_count(known)} agree on the master {useful[0].master}, and a failover is possible")


def _count(number: int) -> str:
    return "1 Sentinel" if number == 1 else f"{number} Sentinels"

"""How Redis treats its connections: idle ones, dead ones, too many."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway.doctor.facts import Facts
from gateway.doctor.finding import Finding, ok, problem, unknown, warning

IDLE: Final = "idle connections"
PLACES: Final = "connections"
SHORT_S: Final = 60
NEARLY_FULL: Final = 0.8


def judge(facts: Facts) -> Iterator[Finding]:
    yield _idle(facts)
    yield _places(facts)


def _idle(facts: Facts) -> Finding:
    timeout, keepalive = facts.config_number("timeout"), facts.config_number("tcp-keepalive")
    if timeout is None or keepalive is None:
        return unknown(IDLE, "timeout and tcp-keepalive cannot be looked at; they should be 0 and 300")
    if 0 < timeout < SHORT_S:
        return warning(
            IDLE,
            f"timeout {timeout} closes connections that are quiet for so many s, and nodes make them anew all the time",
            "Set timeout 0 (or 300 and more).",
        )
    if not keepalive:
        return warning(
            IDLE,
            "tcp-keepalive 0: the server never notices nodes that have vanished, and devices in between may forget "
            "quiet subscribers",
            "Set tcp-keepalive 300 (or 60).",
        )
    return ok(IDLE, f"timeout {timeout}, tcp-keepalive {keepalive}")


def _places(facts: Facts) -> Finding:
    now, most = facts.number("connected_clients"), facts.number("maxclients")
    if now is None or not most:
        return unknown(PLACES, "maxclients cannot be looked at")
    text = f"{now} of {most} (maxclients) are taken"
    remedy = f"Raise maxclients (and the server's file-descriptor limit) above {max(10_000, 2 * most)}."
    if now >= most:
        return problem(PLACES, f"{text}; nobody else gets in", remedy)
    if now > most * NEARLY_FULL:
        return warning(PLACES, text, remedy)
    return ok(PLACES, text)

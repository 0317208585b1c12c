"""What a check has to say: one line, and what to change. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum


class Level(Enum):
    """How bad it is, from fine to broken. ``UNKNOWN`` could not be looked at, which is no fault by itself."""

    OK = "ok"
    UNKNOWN = "unknown"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """``text`` says what is, ``remedy`` the exact thing to change; neither holds a secret."""

    check: str
    level: Level
    text: str
    remedy: str = ""


def ok(check: str, text: str) -> Finding:
    return Finding(check, Level.OK, text)


def unknown(check: str, text: str) -> Finding:
    return Finding(check, Level.UNKNOWN, text)


def warning(check: str, text: str, remedy: str) -> Finding:
    return Finding(check, Level.WARNING, text, remedy)


def problem(check: str, text: str, remedy: str) -> Finding:
    return Finding(check, Level.PROBLEM, text, remedy)


def over_servers(findings: Iterable[tuple[str, Finding]]) -> list[Finding]:
    """One check's findings of several servers, each with its address: a line of its own for each different one."""
    addresses: dict[Finding, list[str]] = {}
    for address, finding in findings:
        addresses.setdefault(finding, []).append(address)
    if len(addresses) == 1:
        return list(addresses)
    return [replace(each, text=f"{each.text} [{', '.join(at)}]") for each, at in addresses.items()]

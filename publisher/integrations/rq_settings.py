"""What the environment says to workers of RQ, which RQ's own command line makes, and to ``enqueue()``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from publisher.core.options import Options
from publisher.integrations.policy import Policy, ReportOptions


class BadSetting(ValueError):
    """A variable of the environment that makes no sense."""

    def __init__(self, variable: str, error: ValueError) -> None:
        super().__init__(f"{variable} makes no sense: {error}")


def report_options(environment: Mapping[str, str]) -> ReportOptions:
    """The options that the environment has. Raises :class:`BadSetting`."""
    found: dict[str, Any] = {}
    for name, read in _READ.items():
        variable = f"SSE_{name.upper()}"
        if text := environment.get(variable):
            try:
                found[name] = read(text)
                Policy.of(cast(ReportOptions, {name: found[name]}))
            except ValueError as error:
                raise BadSetting(variable, error) from None
    return cast(ReportOptions, found)


def _prefix(text: str) -> str:
    return Options(prefix=text).prefix


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"it must be a number of seconds, not {text!r}.") from None


def _switch(text: str) -> bool:
    known = {"1": True, "true": True, "0": False, "false": False}
    if text.lower() not in known:
        raise ValueError(f"it must be 1 or 0, not {text!r}.")
    return known[text.lower()]


_READ: Final[dict[str, Callable[[str], Any]]] = {
    "prefix": _prefix,
    "lease_s": _seconds,
    "on_worker_lost": str,
    "tracebacks": _switch,
}

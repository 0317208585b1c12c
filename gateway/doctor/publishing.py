"""What a machine needs that only publishes. Runs where the node's packages are not installed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from gateway.doctor import configuration, reach, redis_checks
from gateway.doctor.finding import Finding
from gateway.doctor.grants import Role
from gateway.doctor.patience import within

REDIS_S: Final = 15.0
SETTINGS: Final = ("GATEWAY_REDIS_URL", "GATEWAY_REDIS_PREFIX")
"""All others are a node's."""


def examine(environ: Mapping[str, str]) -> Iterator[Finding]:
    """All findings, as they come."""
    settings, problems = configuration.read({name: environ[name] for name in SETTINGS if name in environ})
    yield from configuration.judge(settings, problems)
    yield from within(REDIS_S, reach.CHECK, lambda: redis_checks.examine(settings, Role.WORKER))

"""Connections of one address, more than a node has sockets."""

from __future__ import annotations

from typing import Final

from tests.bench.attacks.attack import ELSEWHERE, hold

SOCKETS: Final = 3000
SETTINGS: Final = {"MAX_CONNECTIONS": 1000, "TRUSTED_PROXIES": "none"}
"""2,000 sockets."""


async def idle(port: int) -> None:
    """They ask once, and are idle."""
    await hold(port, SOCKETS, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", pause_s=1, address=ELSEWHERE)


async def silent(port: int) -> None:
    """They never ask."""
    await hold(port, SOCKETS, b"", pause_s=1, address=ELSEWHERE)

"""Names by which a node may be asked (``GATEWAY_ALLOWED_HOSTS``).

A page of another site can point its own name at the node; it would then count as one of the node's own pages.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from starlette.types import ASGIApp, Scope

from gateway.exceptions import BadRequest
from gateway.http import responses

UNCHECKED: Final = frozenset({"/livez", "/readyz", "/metrics"})
"""Balancers and Prometheus ask a node by its address."""
_HOST = re.compile(r"(?P<name>[^:\[\]]+|\[[0-9a-f:.]+\])(?::[0-9]*)?")


class AllowedHosts:
    """A step that answers 400 to every other name in ``Host``."""

    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = allowed

    def __call__(self, scope: Scope) -> ASGIApp | None:
        if scope["path"] in UNCHECKED:
            return None
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) == 1 and is_allowed(hosts[0].decode("latin-1"), self._allowed):
            return None
        error = BadRequest("The node does not go by this name; list it in GATEWAY_ALLOWED_HOSTS.")
        return responses.error_response(error)


def is_allowed(host: str, allowed: Collection[str]) -> bool:
    """Whether a ``Host`` is one of these: by name with any port, by name and port, or below ``*.name``."""
    found = _HOST.fullmatch(host.lower())
    if found is None:
        return False
    name: str = found["name"]
    if name in allowed or found[0] in allowed:
        return True
    return any(entry.startswith("*.") and name.endswith(entry[1:]) and len(name) > len(entry) - 1 for entry in allowed)

"""A node below a path of its site (``GATEWAY_ROOT_PATH``), whether or not the proxy in front cuts that path off."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import ASGIApp, Scope


class RootPath:
    """A step that takes the prefix off, where it is there; the prefix alone leads on to the landing page.

    The pages' links are relative: without the slash at its end they would miss the prefix.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._raw = prefix.encode()

    def __call__(self, scope: Scope) -> ASGIApp | None:
        raw: bytes = scope["raw_path"]
        if raw == self._raw:
            headers = {"location": f"{self._prefix}/", "cache-control": "no-store"}
            return Response(status_code=308, headers=headers)
        if raw.startswith(self._raw + b"/"):
            scope["raw_path"] = raw[len(self._raw) :]
            scope["path"] = scope["path"][len(self._prefix) :]
        return None

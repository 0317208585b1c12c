"""Which pages of other origins may use this node."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

HEADERS: Final = ["Authorization", "Cache-Control", "Content-Type", "Last-Event-ID"]
TOLD: Final = ["Location", "Retry-After", "Link", "ETag", "Last-Event-ID", "Mercure-Last-Event-ID"]
MAX_AGE_S: Final = 600
LOCAL: Final = re.compile(r"null|https?://(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]{1,5})?")
"""``null`` is a page from a file. It is also a frame that a foreign page shuts in, so what mints tokens is left out."""
UNSHARED: Final = "/dev/"


class CrossOrigin:
    """Pages of the origins in ``listed`` may use everything, with credentials.

    With ``local_pages`` what a developer opens from a file, or from another server on the same machine, may read.
    """

    def __init__(self, app: ASGIApp, listed: Collection[str], *, local_pages: bool) -> None:
        self._listed = frozenset(listed)
        self._local_pages = local_pages
        self._readers = CORSMiddleware(
            app,
            allow_origin_regex=LOCAL.pattern,
            allow_methods=["GET", "HEAD"],
            allow_headers=HEADERS,
            expose_headers=TOLD,
            max_age=MAX_AGE_S,
        )
        self._users = CORSMiddleware(
            app,
            allow_origins=list(listed),
            allow_credentials=True,
            allow_methods=["GET", "HEAD", "POST", "PATCH", "DELETE"],
            allow_headers=HEADERS,
            expose_headers=TOLD,
            max_age=MAX_AGE_S,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._readers if self._local_pages and self._is_reader(scope) else self._users
        await app(scope, receive, send)

    def _is_reader(self, scope: Scope) -> bool:
        if scope["type"] != "http" or scope["path"].startswith(UNSHARED):
            return False
        origins = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
        return len(origins) == 1 and origins[0] not in self._listed and LOCAL.fullmatch(origins[0]) is not None

"""``GET /dev/token``: a token for the asking, on a developer's machine."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.auth.minting import mint_token
from gateway.auth.same_site import require_local_name
from gateway.exceptions import BadRequest
from gateway.http import responses
from gateway.http.endpoint import Endpoints
from gateway.settings.settings import Settings

DEFAULT_SUBJECT = "dev"
DEFAULT_TTL_S = 3600


def routes(endpoint: Endpoints, settings: Settings) -> list[BaseRoute]:
    async def mint(request: Request) -> Response:
        """``?sub=…&scope=…&channels=…&ttl=…``: ``channels`` may be repeated, ``ttl`` is in seconds. ``publish`` and
        ``subscribe`` are topic selectors of the Mercure hub."""
        require_local_name(request)
        query = request.query_params
        ttl = query.get("ttl", str(DEFAULT_TTL_S))
        if not (ttl.isascii() and ttl.isdigit() and len(ttl) < 10):
            raise BadRequest("The ttl must be a whole number of seconds.")
        now = time.time()
        token = mint_token(
            settings,
            query.get("sub", DEFAULT_SUBJECT),
            scope=query.get("scope", ""),
            channels=query.getlist("channels"),
            mercure={name: query.getlist(name) for name in ("publish", "subscribe") if name in query},
            ttl_s=int(ttl),
            now=now,
        )
        return responses.json_response({"token": token, "expires_at": int(now) + int(ttl)})

    return [endpoint("/dev/token", GET=mint)]

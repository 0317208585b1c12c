"""``GET /dev/token``: a token for the asking, on a developer's machine."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway import answers
from gateway.endpoint import endpoint
from gateway.exceptions import BadRequest
from gateway.guard import require_local_name
from gateway.minting import mint_token
from gateway.node import Node

DEFAULT_SUBJECT = "dev"
DEFAULT_TTL_S = 3600


async def mint(node: Node, request: Request) -> Response:
    """``?sub=…&scope=…&channels=…&ttl=…``: ``channels`` may be repeated, ``ttl`` is in seconds."""
    require_local_name(request)
    query = request.query_params
    ttl = query.get("ttl", str(DEFAULT_TTL_S))
    if not (ttl.isascii() and ttl.isdigit() and len(ttl) < 10):
        raise BadRequest("The ttl must be a whole number of seconds.")
    now = time.time()
    token = mint_token(
        node.settings,
        query.get("sub", DEFAULT_SUBJECT),
        scope=query.get("scope", ""),
        channels=query.getlist("channels"),
        ttl_s=int(ttl),
        now=now,
    )
    return answers.json_response({"token": token, "expires_at": int(now) + int(ttl)})


def routes(node: Node) -> list[BaseRoute]:
    return [endpoint(node, "/dev/token", GET=mint)]

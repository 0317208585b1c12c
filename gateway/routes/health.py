"""How the node is, for balancers, Prometheus and tools; and the description of its API."""

from __future__ import annotations

import hmac

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway import answers, openapi
from gateway.closing import Closing
from gateway.endpoint import endpoint
from gateway.exceptions import Unauthorized
from gateway.exposition import exposition
from gateway.node import Node


async def livez(node: Node, request: Request) -> Response:
    """The process answers; whether Redis does is not its business, because a restart would not help."""
    return answers.json_response({"status": "alive"})


async def readyz(node: Node, request: Request) -> Response:
    why = _unready(node)
    if why is None:
        return answers.json_response({"status": "ready"})
    return answers.json_response({"error": {"code": why.reason, "message": why.sentence}}, 503)


def _unready(node: Node) -> Closing | None:
    if node.draining:
        return Closing.DRAINING
    return None if node.subscriber.up and node.control.loaded else Closing.REDIS_DOWN


async def metrics(node: Node, request: Request) -> Response:
    token = node.settings.metrics_token
    if token is not None and not _has_token(request, token):
        raise Unauthorized("The metrics need their own token: send GATEWAY_METRICS_TOKEN as Authorization: Bearer.")
    headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
    return Response(exposition(node.metrics), 200, headers, CONTENT_TYPE_LATEST)


def _has_token(request: Request, token: str) -> bool:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode("latin-1"), token.encode())


async def description(node: Node, request: Request) -> Response:
    return answers.json_bytes(openapi.document(node.version))


def routes(node: Node) -> list[BaseRoute]:
    return [
        endpoint(node, "/livez", GET=livez),
        endpoint(node, "/readyz", GET=readyz),
        endpoint(node, "/metrics", GET=metrics),
        endpoint(node, "/openapi.json", GET=description),
    ]

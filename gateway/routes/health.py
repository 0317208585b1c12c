"""How the node is, for balancers, Prometheus and tools; and the description of its API."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.closing import Closing
from gateway.exceptions import Unauthorized
from gateway.http import openapi, responses
from gateway.http.endpoint import Endpoints
from gateway.metrics.exposition import MetricFigures, exposition
from gateway.streams.open_streams import OpenStreams


def _has_token(request: Request, token: str) -> bool:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode("latin-1"), token.encode())


async def livez(request: Request) -> Response:
    """The process answers; whether Redis does is not its business, because a restart would not help."""
    return responses.json_response({"status": "alive"})


class HealthCalls:
    """``redis_serves``: whether the node hears Redis and is answered by it, and knows what it has to know before
    it lets anybody in.
    ``figures``: what is counted, of this process and those that stand beside it on one port.
    ``token``: what the metrics want, None for nothing. The description names ``version``, stands below ``root_path``,
    and shows a hub where ``mercure`` says that there is one."""

    def __init__(
        self,
        streams: OpenStreams,
        *,
        redis_serves: Callable[[], Awaitable[bool]],
        figures: Callable[[], Awaitable[list[MetricFigures]]],
        token: str | None,
        version: str,
        root_path: str,
        mercure: bool,
    ) -> None:
        self._streams = streams
        self._figures = figures
        self._version = version
        self._redis_serves = redis_serves
        self._token = token
        self._root_path = root_path
        self._mercure = mercure

    async def readyz(self, request: Request) -> Response:
        why = await self._unready()
        if why is None:
            return responses.json_response({"status": "ready"})
        return responses.json_response({"error": {"code": why.reason, "message": why.sentence}}, 503)

    async def _unready(self) -> Closing | None:
        if self._streams.draining:
            return Closing.DRAINING
        return None if await self._redis_serves() else Closing.REDIS_DOWN

    async def metrics(self, request: Request) -> Response:
        if self._token is not None and not _has_token(request, self._token):
            raise Unauthorized("The metrics need their own token: send GATEWAY_METRICS_TOKEN as Authorization: Bearer.")
        headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
        return Response(exposition(await self._figures()), 200, headers, CONTENT_TYPE_LATEST)

    async def description(self, request: Request) -> Response:
        return responses.json_bytes(openapi.document(self._version, self._root_path, mercure=self._mercure))


def routes(endpoint: Endpoints, calls: HealthCalls) -> list[BaseRoute]:
    return [
        endpoint("/livez", GET=livez),
        endpoint("/readyz", GET=calls.readyz),
        endpoint("/metrics", GET=calls.metrics),
        endpoint("/openapi.json", GET=calls.description),
    ]

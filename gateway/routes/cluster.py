"""The native calls about the whole cluster: its figures, who is connected, and sending somebody away."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.auth.callers import Callers
from gateway.auth.principal import ADMIN, STATS
from gateway.disconnects import Disconnects
from gateway.exceptions import BadRequest
from gateway.http import responses
from gateway.http.endpoint import Endpoints
from gateway.http.validation import listed
from gateway.metrics.counters import LATENCY_BUCKETS
from gateway.presence.reader import PresenceReader
from gateway.presence.rows import NodeFigures
from publisher import channels as names

MAX_LISTED: Final = 1000
DEFAULT_LISTED: Final = 100


def page_cursor(text: str | None) -> str | None:
    """Where a page begins; None for the first one. Raises :class:`BadRequest`."""
    if not text:
        return None
    try:
        return names.check_id(text)
    except ValueError:
        raise BadRequest("cursor must be the value of next from the page before.") from None


def wants_revocation(text: str | None) -> bool:
    """Raises :class:`BadRequest` for anything but true or false: a typing error must not leave tokens valid."""
    if text in (None, "false", "0"):
        return False
    if text in ("true", "1"):
        return True
    raise BadRequest("revoke must be true or false.")


def _shown(figures: NodeFigures) -> dict[str, object]:
    return {
        "id": figures.id,
        "connections": figures.connections,
        "clients": figures.clients,
        "started_at": figures.started_at,
        "version": figures.version,
        "draining": figures.draining,
        "events_delivered": figures.delivered.events,
        "latency_counts": figures.delivered.latency,
        "measured_at": figures.delivered.at,
    }


class ClusterCalls:
    """What they answer comes from ``reader``; ``disconnects`` sends somebody away."""

    def __init__(self, callers: Callers, reader: PresenceReader, disconnects: Disconnects) -> None:
        self._callers = callers
        self._reader = reader
        self._disconnects = disconnects

    async def stats(self, request: Request) -> Response:
        await self._callers.holder(request, STATS)
        nodes = await self._reader.nodes()
        totals = await self._reader.totals()
        return responses.json_response(
            {
                "nodes": [_shown(each) for each in nodes],
                "totals": {
                    "connections": sum(each.connections for each in nodes),
                    "clients": totals.clients,
                    "channels": totals.channels,
                    "events_delivered": sum(each.delivered.events for each in nodes),
                },
                "latency_bounds_s": LATENCY_BUCKETS,
            }
        )

    async def clients(self, request: Request) -> Response:
        await self._callers.holder(request, STATS)
        limit = listed(request.query_params.get("limit"), DEFAULT_LISTED, MAX_LISTED)
        page = await self._reader.clients(limit, page_cursor(request.query_params.get("cursor")))
        return responses.json_response({"clients": [client._asdict() for client in page.clients], "next": page.next})

    async def disconnect(self, request: Request) -> Response:
        """End every stream of a subject and of ``client:{id}``; the answer says how many there were."""
        await self._callers.holder(request, ADMIN)
        client_id = names.check_id(request.path_params["client_id"], "client id")
        revoke = wants_revocation(request.query_params.get("revoke"))
        streams = await self._reader.streams_of_client(client_id)
        await self._disconnects.disconnect_everywhere(client_id, revoke=revoke)
        return responses.json_response({"client_id": client_id, "disconnected": streams, "revoked": revoke})


def routes(endpoint: Endpoints, callers: Callers, reader: PresenceReader, disconnects: Disconnects) -> list[BaseRoute]:
    calls = ClusterCalls(callers, reader, disconnects)
    return [
        endpoint("/v1/stats", GET=calls.stats),
        endpoint("/v1/clients", GET=calls.clients),
        endpoint("/v1/clients/{client_id:id}", DELETE=calls.disconnect),
    ]

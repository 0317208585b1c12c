"""The native calls about the whole cluster: its figures, who is connected, and sending somebody away."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway import answers
from gateway.census import NodeFigures
from gateway.endpoint import endpoint
from gateway.exceptions import BadRequest
from gateway.guard import require_scope
from gateway.metrics import LATENCY_BUCKETS
from gateway.node import Node
from gateway.principal import ADMIN, STATS
from publisher import channels as names

MAX_LISTED: Final = 1000
DEFAULT_LISTED: Final = 100


def page_limit(text: str | None) -> int:
    """How many clients a page should have. Raises :class:`BadRequest`."""
    if text is None:
        return DEFAULT_LISTED
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= MAX_LISTED):
        raise BadRequest(f"limit must be a whole number from 1 to {MAX_LISTED}.")
    return int(text)


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


async def stats(node: Node, request: Request) -> Response:
    await require_scope(node, request, STATS)
    nodes = await node.presence.nodes()
    totals = await node.presence.totals()
    return answers.json_response(
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


async def clients(node: Node, request: Request) -> Response:
    await require_scope(node, request, STATS)
    limit = page_limit(request.query_params.get("limit"))
    page = await node.presence.clients(limit, page_cursor(request.query_params.get("cursor")))
    return answers.json_response({"clients": [client._asdict() for client in page.clients], "next": page.next})


async def disconnect(node: Node, request: Request) -> Response:
    """End every stream of a subject and of ``client:{id}``; the answer says how many there were."""
    await require_scope(node, request, ADMIN)
    client_id = names.check_id(request.path_params["client_id"], "client id")
    revoke = wants_revocation(request.query_params.get("revoke"))
    streams = await node.presence.streams_of_client(client_id)
    await node.control.disconnect_everywhere(client_id, revoke=revoke)
    return answers.json_response({"client_id": client_id, "disconnected": streams, "revoked": revoke})


def routes(node: Node) -> list[BaseRoute]:
    return [
        endpoint(node, "/v1/stats", GET=stats),
        endpoint(node, "/v1/clients", GET=clients),
        endpoint(node, "/v1/clients/{client_id:id}", DELETE=disconnect),
    ]

"""``POST /v1/events``: publish over HTTP what the library would publish."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway import answers, presence_topic
from gateway.body import read_json
from gateway.endpoint import endpoint
from gateway.exceptions import BadRequest, TooLarge
from gateway.fields import ANY, TEXT, fields
from gateway.guard import require_scope
from gateway.node import Node
from gateway.principal import PUBLISH
from publisher import Receipt
from publisher import channels as names

MAX_EVENTS: Final = 1000
EVENT: Final = {"channel": TEXT, "type": TEXT, "data": ANY, "id": TEXT}


def events(body: object) -> list[dict[str, Any]]:
    """One event or a list of them, all checked except for their size.

    Raises :class:`BadRequest` that names the index, and :class:`TooLarge` for too many.
    """
    if not isinstance(body, list):
        return [_event("The event", body)]
    if len(body) > MAX_EVENTS:
        raise TooLarge(f"The list has {len(body)} events; at most {MAX_EVENTS} are taken at once. Send several lists.")
    return [_event(f"Event {index}", each) for index, each in enumerate(body)]


def _event(what: str, value: object) -> dict[str, Any]:
    given = fields(what, value, EVENT, ("channel", "type", "data"))
    try:
        names.check_channel(given["channel"])
        names.check_own_type(given["type"])
        presence_topic.check_foreign(given["channel"])
        if "id" in given:
            names.check_own_id(given["id"])
    except ValueError as error:
        raise BadRequest(f"{what}: {error}") from None
    return given


async def publish(node: Node, request: Request) -> Response:
    await require_scope(node, request, PUBLISH)
    body = await read_json(request)
    checked = events(body)
    receipts: list[Receipt | None]
    if isinstance(body, list):
        receipts = await node.publisher.publish_many(checked)
    else:
        receipts = [await node.publisher.publish(**checked[0])]
    return answers.json_response({"receipts": [receipt._asdict() for receipt in receipts if receipt is not None]})


def routes(node: Node) -> list[BaseRoute]:
    return [endpoint(node, "/v1/events", POST=publish)]

"""``POST /v1/events``: publish over HTTP what the library would publish."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.auth.callers import Callers
from gateway.auth.principal import PUBLISH
from gateway.exceptions import BadRequest, TooLarge
from gateway.http import responses
from gateway.http.body import read_json
from gateway.http.endpoint import Endpoints
from gateway.http.validation import ANY, TEXT, fields
from gateway.presence import topic
from publisher import AsyncPublisher, Receipt
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
        topic.check_foreign(given["channel"])
        if "id" in given:
            names.check_own_id(given["id"])
    except ValueError as error:
        raise BadRequest(f"{what}: {error}") from None
    return given


def routes(endpoint: Endpoints, callers: Callers, publisher: AsyncPublisher) -> list[BaseRoute]:
    async def publish(request: Request) -> Response:
        await callers.holder(request, PUBLISH)
        body = await read_json(request)
        checked = events(body)
        receipts: list[Receipt | None]
        if isinstance(body, list):
            receipts = await publisher.publish_many(checked)
        else:
            receipts = [await publisher.publish(**checked[0])]
        return responses.json_response({"receipts": [receipt._asdict() for receipt in receipts if receipt is not None]})

    return [endpoint("/v1/events", POST=publish)]

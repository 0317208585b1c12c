"""The dialect ``clients``: notifications for one client under their own names, and the two calls that go with it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.auth.callers import Callers
from gateway.auth.principal import PUBLISH, STATS, Principal
from gateway.dialects import common
from gateway.exceptions import BadRequest, HTTPError, as_http_error
from gateway.fanout import sse
from gateway.fanout.encoder import Encoder, as_published
from gateway.http import responses
from gateway.http.body import read_json
from gateway.http.endpoint import publisher_errors
from gateway.presence.reader import PresenceReader
from gateway.streams.plan import Plan
from gateway.streams.route import StreamRoutes
from publisher import AsyncPublisher
from publisher import channels as names
from publisher.envelope import Event

ClientCall = Callable[[Request], Awaitable[dict[str, Any]]]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class ClientsEncoder(Encoder):
    """Each event as it was published; what the dialect itself says begins with two underscores."""

    name: ClassVar[str] = "clients"
    verbatim = True

    def __init__(self, clock: Callable[[], int] = now_ms) -> None:
        """``clock`` gives ms since the Unix epoch."""
        self._clock = clock

    def opened(self, connection_id: str, channels: list[str], resumed: bool) -> list[bytes]:
        client_id = channels[0].removeprefix("client:")
        data = {"clientId": client_id, "connectionId": connection_id, "timestamp": self._now()}
        return [sse.json_block(data, b"__connected")]

    def event(self, event: Event) -> bytes | None:
        return as_published(event)

    def reset(self, channel: str, reason: str) -> list[bytes]:
        return [sse.json_block({"channel": channel, "reason": reason}, b"stream.reset")]

    def heartbeat(self) -> bytes:
        return sse.json_block({"timestamp": self._now()}, b"__heartbeat")

    def _now(self) -> str | None:
        return common.iso(self._clock())


ENCODER: Final = ClientsEncoder()


def _subscribe(request: Request, caller: Principal) -> Plan:
    return Plan((names.client_channel(request.path_params["client_id"]), names.BROADCAST), ENCODER)


# The two calls ---


class Notification(NamedTuple):
    """What a caller wants to tell; ``client_id`` is None for everybody."""

    client_id: str | None
    event: str
    payload: Any

    @property
    def channel(self) -> str:
        return names.BROADCAST if self.client_id is None else names.client_channel(self.client_id)


def notification(body: object) -> Notification:
    """Read the body of a notification. Raises ``ValueError`` or :class:`BadRequest` with what is wrong.

    Fields that it does not know are left alone, and ``broadcast`` goes before ``clientId``: these front ends send both.
    """
    if not isinstance(body, dict):
        raise BadRequest('The body must be an object: {"clientId", "event", "payload"} or with "broadcast": true.')
    if "payload" not in body:
        raise BadRequest("payload is missing; send null where there is nothing to say.")
    event = names.check_own_type(body.get("event"))
    broadcast = body.get("broadcast")
    if broadcast is not None and not isinstance(broadcast, bool):
        raise BadRequest("broadcast must be true or false.")
    if broadcast:
        return Notification(None, event, body["payload"])
    if body.get("clientId") is None:
        raise BadRequest("Say who is to get it: clientId, or broadcast: true.")
    return Notification(names.check_id(body["clientId"], "clientId"), event, body["payload"])


class ClientCalls:
    def __init__(self, callers: Callers, reader: PresenceReader, publisher: AsyncPublisher) -> None:
        self._callers = callers
        self._reader = reader
        self._publisher = publisher

    async def notify(self, request: Request) -> dict[str, Any]:
        await self._callers.holder(request, PUBLISH, allow_dev=True)
        told = notification(await read_json(request))
        # Counted before it is sent: who comes later was not addressed.
        connections = await self._reader.listeners(told.channel)
        await self._publisher.publish(told.channel, told.event, told.payload)
        answer: dict[str, Any] = {"ok": True, "sent": connections > 0, "connections": connections}
        return answer if told.client_id is None else {**answer, "clientId": told.client_id}

    async def metrics(self, request: Request) -> dict[str, Any]:
        await self._callers.holder(request, STATS, allow_dev=True)
        totals = await self._reader.totals()
        return figures(totals.connections, totals.clients)


def figures(connections: int, clients: int) -> dict[str, Any]:
    """The open streams of clients, over the whole cluster."""
    average = round(connections / clients, 2) if clients else 0
    return {
        "totalConnections": connections,
        "totalClients": clients,
        "averageConnectionsPerClient": average,
    }


def _call(answer: ClientCall) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint whose errors have this dialect's shape."""

    async def endpoint(request: Request) -> Response:
        try:
            with publisher_errors():
                return responses.json_response(await answer(request))
        except (HTTPError, ValueError) as raised:
            return failed(as_http_error(raised))

    return endpoint


def failed(error: HTTPError) -> Response:
    """``{"ok": false, "error"}`` with the status and headers that the error has everywhere."""
    return responses.json_response({"ok": False, "error": error.sentence}, error.status, error.headers)


def routes(
    stream: StreamRoutes, callers: Callers, reader: PresenceReader, publisher: AsyncPublisher
) -> list[BaseRoute]:
    calls = ClientCalls(callers, reader, publisher)
    return [
        stream("/api/sse/subscribe/{client_id:id}", _subscribe, ENCODER),
        Route("/api/sse/notify", _call(calls.notify), methods=["POST"]),
        Route("/api/sse/metrics", _call(calls.metrics), methods=["GET"]),
    ]

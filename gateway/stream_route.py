"""A route that answers with a stream: who asks, what for, whether there is room; then the stream itself takes over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from gateway import answers
from gateway.closing import Closing
from gateway.encoder import Encoder
from gateway.exceptions import BadRequest, HTTPError, Refused, Unavailable
from gateway.node import Node
from gateway.opening import Opening
from gateway.plan import Plan
from gateway.presence import Place
from gateway.principal import Principal
from gateway.protocol import EXTENSION, GatewayProtocol
from gateway.store import StoreDown

SECOND_TRY_S: Final = 0.25
"""After this it is asked again whether a user has room: the end of a stream that was closed just now may still be on
its way, through a proxy or from another node."""


class StreamRoute:
    """An ASGI application for one stream route. ``plan`` reads the request and may raise :class:`HTTPError` or
    ``ValueError``; it gets the caller, because some routes mean the caller's own channels."""

    def __init__(self, node: Node, plan: Callable[[Request, Principal], Plan], encoder: Encoder) -> None:
        """``encoder`` words the refusals, when there is no plan yet."""
        self._node = node
        self._plan = plan
        self._encoder = encoder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        accepts_events = "text/event-stream" in request.headers.get("accept", "").lower()
        try:
            await self._serve(request, scope, send)
        except Refused as refused:
            self._node.metrics.refused[refused.closing.reason] += 1
            await answers.refuse_stream(scope, receive, send, refused.closing, self._encoder, accepts_events)
        except (StoreDown, Unavailable):
            self._node.metrics.refused[Closing.REDIS_DOWN.reason] += 1
            await answers.refuse_stream(scope, receive, send, Closing.REDIS_DOWN, self._encoder, accepts_events)
        except (HTTPError, ValueError) as raised:
            error = raised if isinstance(raised, HTTPError) else BadRequest(str(raised))
            self._node.metrics.refused[error.code] += 1
            await answers.error_response(error)(scope, receive, send)

    async def _serve(self, request: Request, scope: Scope, send: Send) -> None:
        node = self._node
        principal = await node.stream_caller(request)
        plan = self._plan(request, principal)
        node.check_channels(principal, plan.channels)
        if scope["method"] == "HEAD":
            await answers.start_stream(send)
            await send({"type": "http.response.body", "body": b""})
            return
        if node.draining:
            raise Refused(Closing.DRAINING)
        if not node.subscriber.up:
            raise Refused(Closing.REDIS_DOWN)
        http: GatewayProtocol = scope["extensions"][EXTENSION]
        if http.lost:
            return
        place = Place(node.user_key(principal, request), plan.channels)
        opening = Opening(node, plan, principal, http, send, _last_event_id(request))
        node.limits.enter(time.monotonic(), place.user_key)
        stays = False
        try:
            with http.while_connected():
                await self._enter(place)
                try:
                    stays = await opening.open(lambda: self._leave(place))
                finally:
                    if not stays:
                        node.presence.leave(place)
        finally:
            if not stays:
                node.limits.leave()

    def _leave(self, place: Place) -> None:
        self._node.presence.leave(place)
        self._node.limits.leave()

    async def _enter(self, place: Place) -> None:
        if not await self._node.presence.arrive(place):
            await asyncio.sleep(SECOND_TRY_S)
            if not await self._node.presence.arrive(place):
                raise Refused(Closing.USER_LIMIT)


def _last_event_id(request: Request) -> str:
    found = request.headers.get("last-event-id")
    if found is None:
        found = request.query_params.get("lastEventId") or request.query_params.get("last_event_id")
    return found or ""

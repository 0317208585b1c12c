"""What every route does that answers with a stream: whether there is room, and what is said in place of a stream."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.auth.callers import user_key
from gateway.auth.principal import Principal
from gateway.closing import Closing
from gateway.exceptions import HTTPError, InternalError, Refused, Unavailable, as_http_error, forget_way
from gateway.fanout.encoder import Encoder
from gateway.http import responses
from gateway.limits import Limits
from gateway.presence.presence import Presence
from gateway.presence.stream_counts import CountedStream
from gateway.sockets.protocol import GatewayProtocol
from gateway.sockets.requests import EXTENSION
from gateway.streams.arrival import PendingStream
from gateway.streams.opening import Opening
from gateway.streams.parts import StreamParts
from gateway.streams.plan import Lookup, Plan
from gateway.streams.request import StreamRequest

SECOND_TRY_S: Final = 0.25
"""After this it is asked again whether a user has room: the end of a stream that was closed just now may still be on
its way, through a proxy or from another node."""

LOOK_AGAIN_S: Final = 0.25
"""How often it is looked for what is not there yet, where nothing tells of it."""

ELSEWHERE: Final = {"502": 502, "503": 503, "504": 504}
"""With what a proxy may have a stream refused that this node cannot serve now, and another one may."""


class Visit:
    """What a route does beside its stream, from the moment that there is room for it."""

    async def begin(self, opening: Opening) -> None:
        """Before the stream opens; may raise :class:`HTTPError`. :meth:`end` follows in any case."""

    def end(self) -> None:
        """The stream is over, or did not come about."""


NO_VISIT: Final = Visit()


class AdmittingRoute(ABC):
    """An ASGI application for one route of streams. ``encoder`` words the refusals, when there is no plan yet."""

    def __init__(self, parts: StreamParts, limits: Limits, presence: Presence, encoder: Encoder) -> None:
        self._parts = parts
        self._limits = limits
        self._presence = presence
        self._encoder = encoder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = StreamRequest(scope)
        try:
            answer = await self._serve(request, send)
        except (HTTPError, ValueError) as raised:
            answer = self._refusal(request, raised)
        except Exception:
            await responses.error_response(InternalError())(scope, receive, send)
            raise
        if answer is not None:
            await answer(scope, receive, send)

    def _refusal(self, request: StreamRequest, raised: HTTPError | ValueError) -> ASGIApp:
        error = Refused(Closing.REDIS_DOWN) if isinstance(raised, Unavailable) else as_http_error(raised)
        forget_way(error)
        self._parts.metrics.refused[error.code] += 1
        for_proxy = _status_for_proxy(request, error)
        if for_proxy is not None:
            return responses.error_response(error, for_proxy)
        soft = not self._encoder.by_status
        if soft and isinstance(error, Refused) and "text/event-stream" in request.headers.get("accept", "").lower():
            return responses.refused_stream(error.closing, self._encoder)
        return responses.error_response(error)

    @abstractmethod
    async def _serve(self, request: StreamRequest, send: Send) -> ASGIApp | None:
        """Open the stream, which lives on by itself; or say what is to be answered in its place. Who calls, and what
        for, is for the route to find out; the rest of the way is :meth:`_admit`."""

    async def _admit(
        self, request: StreamRequest, send: Send, principal: Principal, asked: Plan | Lookup, visit: Visit
    ) -> ASGIApp | None:
        """As :meth:`_serve`, for a caller who may have the stream."""
        parts, scope = self._parts, request.scope
        if parts.streams.draining:
            raise Refused(Closing.DRAINING)
        if not parts.subscriptions.up:
            raise Refused(Closing.REDIS_DOWN)
        http: GatewayProtocol = scope["extensions"][EXTENSION]
        if http.lost:
            return None
        key = user_key(principal, request)
        arrival = PendingStream(principal.subject, asked.channels if isinstance(asked, Plan) else ())
        self._limits.enter(time.monotonic(), key)
        stays = False
        try:
            with parts.streams.arriving(arrival), http.while_connected():
                plan = asked if isinstance(asked, Plan) else await self._found(request, asked)
                if plan is None:
                    return responses.no_more
                if scope["method"] == "HEAD":
                    await responses.send_head(send, self._encoder.headers)
                    return None
                place = CountedStream(key, plan.counted)
                await self._enter(place)
                try:
                    opening = Opening(
                        parts,
                        plan,
                        principal,
                        http,
                        send,
                        last_event_id(request),
                        arrival=arrival,
                        limits=self._limits,
                        user_key=key,
                    )
                    await visit.begin(opening)
                    stays = await opening.open(lambda: self._leave(place, visit))
                finally:
                    if not stays:
                        self._presence.leave(place)
                        visit.end()
                if not stays:
                    return responses.no_more
        finally:
            if not stays:
                self._limits.leave()
        return None

    async def _found(self, request: StreamRequest, look: Lookup) -> Plan | None:
        """What is to be streamed. For a client that had something before it is looked for as long as for a job that is
        not there yet: what Redis lost, its worker writes again."""
        parts = self._parts
        deadline = time.monotonic() + (parts.settings.job_wait_s if last_event_id(request) else 0)
        while (plan := await look()) is None and time.monotonic() < deadline:
            await asyncio.sleep(LOOK_AGAIN_S)
            if parts.streams.draining:
                raise Refused(Closing.DRAINING)
        return plan

    def _leave(self, place: CountedStream, visit: Visit) -> None:
        self._presence.leave(place)
        self._limits.leave()
        visit.end()

    async def _enter(self, place: CountedStream) -> None:
        if not await self._presence.arrive(place):
            await asyncio.sleep(SECOND_TRY_S)
            if not await self._presence.arrive(place):
                raise Refused(Closing.USER_LIMIT)


def _status_for_proxy(request: StreamRequest, error: HTTPError) -> int | None:
    """What a proxy has asked for, which then asks another node; None where it has not, or any node would say no."""
    asked = request.headers.get("x-refuse-with")
    if asked in ELSEWHERE and isinstance(error, Refused) and error.closing is not Closing.USER_LIMIT:
        return ELSEWHERE[asked]
    return None


def last_event_id(request: StreamRequest) -> str:
    """Where the client stands, as it says."""
    found = request.header(b"last-event-id")
    if found is None:
        found = request.query_params.get("lastEventId") or request.query_params.get("last_event_id")
    return found or ""

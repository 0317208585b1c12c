"""A route that answers with a stream: who asks, and what for."""

from __future__ import annotations

from collections.abc import Callable

from starlette.routing import Route
from starlette.types import ASGIApp, Send

from gateway.auth.principal import Principal
from gateway.fanout.encoder import Encoder
from gateway.limits import Limits
from gateway.presence.presence import Presence
from gateway.streams.admission import NO_VISIT, AdmittingRoute
from gateway.streams.parts import StreamParts
from gateway.streams.plan import Lookup, Plan
from gateway.streams.request import StreamRequest

PlanOf = Callable[[StreamRequest, Principal], Plan | Lookup]
"""Reads the request; may raise :class:`HTTPError` or ``ValueError``. It gets the caller, because some routes mean the
caller's own channels. Where only Redis can say which channels, it answers how that is found out."""


class StreamRoutes:
    """Makes the routes of a node's streams: ``stream(path, plan, encoder)``. ``encoder`` words the refusals, when there
    is no plan yet."""

    def __init__(self, parts: StreamParts, limits: Limits, presence: Presence) -> None:
        self._parts = parts
        self._limits = limits
        self._presence = presence

    def __call__(self, path: str, plan: PlanOf, encoder: Encoder) -> Route:
        return Route(path, StreamRoute(self._parts, self._limits, self._presence, plan, encoder), methods=["GET"])


class StreamRoute(AdmittingRoute):
    """One whose plan says what is streamed."""

    def __init__(self, parts: StreamParts, limits: Limits, presence: Presence, plan: PlanOf, encoder: Encoder) -> None:
        super().__init__(parts, limits, presence, encoder)
        self._plan = plan

    async def _serve(self, request: StreamRequest, send: Send) -> ASGIApp | None:
        parts = self._parts
        principal = await parts.callers.reader(request)
        asked = self._plan(request, principal)
        if isinstance(asked, Plan):
            parts.callers.check_channels(principal, asked.channels)
        return await self._admit(request, send, principal, asked, NO_VISIT)

"""The hub of a node: its parts, wired together. Made only where ``GATEWAY_MERCURE`` is on."""

from __future__ import annotations

from starlette.routing import BaseRoute

from gateway.auth.token_verifier import TokenVerifier
from gateway.broker.store import Store
from gateway.http.endpoint import Endpoints
from gateway.limits import Limits
from gateway.mercure.audience import HubAudience
from gateway.mercure.book import SubscriptionBook
from gateway.mercure.gatekeeper import HubGatekeeper
from gateway.mercure.hub_history import HubHistory
from gateway.mercure.hub_routes import HubRoutes
from gateway.mercure.rules import PATH
from gateway.mercure.stream_route import MercureStreamRoute
from gateway.presence.presence import Presence
from gateway.settings.settings import Settings
from gateway.streams.parts import StreamParts


class MercureHub:
    """``run`` lives in the node's background; ``close`` follows it. ``path`` is the hub's own."""

    path = PATH

    def __init__(
        self,
        settings: Settings,
        store: Store,
        parts: StreamParts,
        limits: Limits,
        presence: Presence,
        native: TokenVerifier,
        node_id: str,
    ) -> None:
        history = HubHistory(store, settings.redis_prefix, settings.mercure_history)
        self._book = SubscriptionBook(store, history, settings.redis_prefix, node_id)
        self._keeper = HubGatekeeper(settings, native, parts.callers)
        self._stream = MercureStreamRoute(
            parts,
            limits,
            presence,
            keeper=self._keeper,
            history=history,
            book=self._book,
            # A topic's readers are those whom the native table names, unless either side is open to everybody.
            audience=HubAudience(guarded=not (settings.mercure_anonymous or settings.anonymous_reading)),
        )
        self._routes = HubRoutes(
            settings,
            keeper=self._keeper,
            callers=parts.callers,
            history=history,
            book=self._book,
            degraded=lambda: parts.streams.degraded,
        )

    def routes(self, endpoint: Endpoints) -> list[BaseRoute]:
        return self._routes.routes(endpoint, self._stream)

    async def run(self) -> None:
        """Until cancelled."""
        await self._book.run()

    async def close(self) -> None:
        await self._book.close()

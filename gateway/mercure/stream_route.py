"""``GET /.well-known/mercure``: a subscription, which is a stream of the node's as all others are."""

from __future__ import annotations

import time
from collections.abc import Sequence

from starlette.types import ASGIApp, Send

from gateway.auth.callers import user_key
from gateway.exceptions import BadRequest
from gateway.fanout import cursor
from gateway.fanout.hub import Hub
from gateway.limits import Limits
from gateway.mercure import headers, query, subscriptions
from gateway.mercure.audience import HubAudience
from gateway.mercure.book import SubscriptionBook
from gateway.mercure.encoder import MercureEncoder
from gateway.mercure.form import HubAddress
from gateway.mercure.gatekeeper import HubGatekeeper
from gateway.mercure.hub_history import HubHistory
from gateway.mercure.rules import EARLIEST
from gateway.mercure.selector import Selection, TopicGrants, TopicSelector
from gateway.mercure.subscriptions import HubSubscriber
from gateway.mercure.url_pattern import PatternBudget, PatternError
from gateway.presence.presence import Presence
from gateway.streams.admission import AdmittingRoute, Visit
from gateway.streams.opening import Opening
from gateway.streams.parts import StreamParts
from gateway.streams.plan import Plan
from gateway.streams.request import StreamRequest
from publisher.keys import HUB

NOTHING = Selection(frozenset(), TopicGrants())


class HubVisit(Visit):
    """``resume`` is the id that the request has brought; None for none. ``said`` goes into the head of the answer."""

    def __init__(
        self,
        hub: Hub,
        audience: HubAudience,
        history: HubHistory,
        book: SubscriptionBook,
        subscriber: HubSubscriber,
        resume: str | None,
        address: HubAddress,
    ) -> None:
        self._hub = hub
        self._audience = audience
        self._history = history
        self._book = book
        self._subscriber = subscriber
        self._resume = resume
        self.said = {b"link": headers.link(address).encode()}

    async def begin(self, opening: Opening) -> None:
        await self._book.arrive(self._subscriber)
        if self._resume is not None:
            await self._go_on(opening, self._resume)
        channel = self._hub.channel(HUB)
        channel.audience = self._audience

    async def _go_on(self, opening: Opening, update_id: str) -> None:
        found = False
        if update_id:
            place = await self._history.place("" if update_id == EARLIEST else update_id)
            found = place.found
            opening.go_on(cursor.part(cursor.tag(HUB), place.position).decode())
        told = update_id.encode() if found else EARLIEST.encode()
        self.said |= dict.fromkeys(headers.RESUMED, told)

    def end(self) -> None:
        self._book.leave(self._subscriber)


class MercureStreamRoute(AdmittingRoute):
    """An ASGI application; one for a node."""

    def __init__(
        self,
        parts: StreamParts,
        limits: Limits,
        presence: Presence,
        *,
        keeper: HubGatekeeper,
        history: HubHistory,
        book: SubscriptionBook,
        audience: HubAudience,
    ) -> None:
        super().__init__(parts, limits, presence, MercureEncoder(NOTHING, guarded=True))
        self._keeper = keeper
        self._history = history
        self._book = book
        self._audience = audience
        self._patterns = PatternBudget()

    async def _serve(self, request: StreamRequest, send: Send) -> ASGIApp | None:
        address = self._keeper.address(request)
        asked = query.token_in(request.scope["query_string"])
        caller = await self._keeper.subscriber(request, asked)
        wanted = query.read_query(request.scope["query_string"], address.url)
        self._compile(wanted.selectors, user_key(caller.principal, request))
        selection = Selection(frozenset(wanted.selectors), caller.rights.subscribe)
        subscriber = subscriptions.subscriber(
            wanted.selectors, caller.rights, address.root, watches=selection.may_watch(address.root)
        )
        resume = _resume(request, wanted.resume)
        visit = HubVisit(self._parts.hub, self._audience, self._history, self._book, subscriber, resume, address)
        plan = Plan((HUB,), self._audience.encoder(selection), hidden=True)
        return await self._admit(request, headers.with_more(send, lambda: visit.said), caller.principal, plan, visit)

    def _compile(self, selectors: Sequence[TopicSelector], key: str) -> None:
        patterns = [(each.text, each.base) for each in selectors if each.base and not each.is_all]
        if patterns:
            self._patterns.check(time.monotonic(), key)
            try:
                self._patterns.compile(patterns, key)
            except PatternError as error:
                raise BadRequest(str(error)) from None


def _resume(request: StreamRequest, in_query: str | None) -> str | None:
    """The header counts more; it holds UTF-8, whatever the framework takes it for."""
    sent = request.header(b"last-event-id")
    if sent is None:
        return in_query
    return sent.encode("latin-1").decode("utf-8", "replace")

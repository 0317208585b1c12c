"""What the hub answers beside streams: publications, the list of subscriptions, and what it says about itself."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.auth.callers import Callers
from gateway.exceptions import BadRequest, NotFound, Unavailable
from gateway.http import responses
from gateway.http.body import MAX_BODY_BYTES, read
from gateway.http.endpoint import Endpoints
from gateway.mercure import headers, query, subscriptions
from gateway.mercure.bearer import COOKIES
from gateway.mercure.book import SubscriptionBook
from gateway.mercure.form import FORM, is_form, read_form
from gateway.mercure.gatekeeper import HubGatekeeper
from gateway.mercure.hub_history import HubHistory
from gateway.mercure.hub_update import HubUpdate
from gateway.mercure.rights import DETAIL_TYPES
from gateway.mercure.rules import EARLIEST, METADATA_PATH, PATH, SUBSCRIPTIONS
from gateway.mercure.stream_route import MercureStreamRoute
from gateway.mercure.tokens import HubCaller, HubRole
from gateway.settings.settings import Settings

TEXT: Final = "text/plain; charset=utf-8"
JSON_LD: Final = "application/ld+json"


class HubRoutes:
    """``degraded`` says whether Redis is away."""

    def __init__(
        self,
        settings: Settings,
        *,
        keeper: HubGatekeeper,
        callers: Callers,
        history: HubHistory,
        book: SubscriptionBook,
        degraded: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._keeper = keeper
        self._callers = callers
        self._history = history
        self._book = book
        self._degraded = degraded

    def routes(self, endpoint: Endpoints, stream: MercureStreamRoute) -> list[BaseRoute]:
        async def listed(request: Request) -> Response:
            return await self._listed(request, endpoint)

        below = ["", "/{first:id}", "/{first:id}/{second:id}", "/{first:id}/{second:id}/{third:id}"]
        return [
            Route(PATH, stream, methods=["GET"]),
            Route(PATH, self._publish, methods=["POST"]),
            *(Route(SUBSCRIPTIONS + path, listed, methods=["GET"]) for path in below),
            Route(METADATA_PATH, self._metadata, methods=["GET"]),
        ]

    # Publishing ---

    async def _publish(self, request: Request) -> Response:
        caller = await self._keeper.caller(request, HubRole.PUBLISHER, query.token_in(request.scope["query_string"]))
        if caller.principal.anonymous:
            raise self._keeper.missing(request)
        if self._degraded():
            raise Unavailable("The node has lost Redis; try again later.")
        if not is_form(request.headers.get("content-type", "")):
            raise BadRequest(f"A publication is a form: Content-Type: {FORM}.")
        body = await read(request, MAX_BODY_BYTES)
        update = read_form(body, self._keeper.address(request), self._settings.max_event_bytes)
        self._check(request, caller, update)
        self._callers.check_revoked(caller.principal)  # it may have come while the body did
        await self._history.publish(update)
        return Response(update.id.encode(), headers=dict(responses.PRIVATE), media_type=TEXT)

    def _check(self, request: Request, caller: HubCaller, update: HubUpdate) -> None:
        if caller.rights.modern and len(update.topics) > 1:
            raise BadRequest("An update has one topic; alternates are for tokens of 0.x.")
        if not caller.rights.publish.all_of(update.topics):
            raise self._keeper.not_allowed(request, caller, "The token does not allow publishing on this topic.")

    # Who is subscribed ---

    async def _listed(self, request: Request, endpoint: Endpoints) -> Response:
        caller = await self._keeper.caller(request, HubRole.SUBSCRIBER, query.token_in(request.scope["query_string"]))
        if caller.principal.anonymous:
            raise self._keeper.missing(request)
        path = self._settings.root_path + request.scope["path"]
        if not caller.rights.subscribe.any_of([path]):
            raise self._keeper.not_allowed(request, caller, "The token does not allow reading these subscriptions.")
        if self._degraded():
            raise Unavailable("The node has lost Redis; try again later.")
        with endpoint.place(caller.principal, request):
            last, documents = await self._book.listed()
        said = _answer(documents, _segments(request), path, last or EARLIEST, modern=caller.rights.modern)
        return self._document(request, said, last or EARLIEST, modern=caller.rights.modern)

    def _document(self, request: Request, said: dict[str, Any], last: str, *, modern: bool) -> Response:
        body = orjson.dumps(said)
        etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
        more = {"etag": etag, "link": headers.link(self._keeper.address(request), last)}
        more |= {"cache-control": "private, must-revalidate", "x-content-type-options": "nosniff"}
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=more)
        return Response(body, headers=more, media_type="application/json" if modern else JSON_LD)

    # About itself ---

    async def _metadata(self, request: Request) -> Response:
        tokens, address = self._keeper.tokens, self._keeper.address(request)
        said: dict[str, Any] = {
            "resource": tokens.audience(address),
            "authorization_details_types_supported": list(DETAIL_TYPES),
            "bearer_methods_supported": ["header"],
            "mercure_cookie": COOKIES[0],
            "mercure_matcher_types_supported": ["exact", "urlpattern"],
            "mercure_subscriptions": True,
        }
        if tokens.issuer and tokens.issuer.startswith(("https://", "http://")):
            said["authorization_servers"] = [tokens.issuer]
        return responses.json_response(said, headers={"link": headers.link(address)})


def _segments(request: Request) -> list[str]:
    """What stands behind the list's address, decoded."""
    given = request.path_params
    return [given[name] for name in ("first", "second", "third") if name in given]


def _answer(documents: list[dict[str, Any]], asked: list[str], path: str, last: str, *, modern: bool) -> dict[str, Any]:
    """The list, or one subscription where its whole address was asked for."""
    whole = 3 if modern else 2
    if len(asked) > whole or (modern and len(asked) == 1):
        raise NotFound("There is no such list; ask for /subscriptions.")
    if asked:
        documents = [
            each
            for each in documents
            if ("topic" not in each) is modern and subscriptions.places(each)[: len(asked)] == asked
        ]
    if len(asked) < whole:
        return subscriptions.collection(documents, path, last, modern=modern)
    if not documents:
        raise NotFound("There is no such subscription.")
    return subscriptions.single(documents[0], last, modern=modern)

"""Who asks the hub, and whether it may: from a request to a caller with its rights."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request

from gateway.auth.access import origin_allowed
from gateway.auth.callers import Callers
from gateway.auth.errors import AuthError
from gateway.auth.jws import read_header
from gateway.auth.principal import ANONYMOUS, Source
from gateway.auth.same_site import own_origin
from gateway.auth.token_verifier import TokenVerifier
from gateway.exceptions import Forbidden, Unauthorized
from gateway.mercure.bearer import NOBODY, HubBearer, bearer_of
from gateway.mercure.errors import MercureNotAllowed, MercureTokenBad, MercureTokenMissing
from gateway.mercure.form import HubAddress
from gateway.mercure.rights import NO_RIGHTS
from gateway.mercure.rules import METADATA_PATH
from gateway.mercure.tokens import HubCaller, HubRole, HubTokens, is_modern
from gateway.settings.settings import Settings
from gateway.settings.values import ASYMMETRIC, SYMMETRIC

ANY_ALGORITHM: Final = (*SYMMETRIC, *ASYMMETRIC)
READING: Final = ("GET", "HEAD")
_ORIGIN: Final = re.compile(r"https?://[A-Za-z0-9._:\[\]-]{1,255}")
"""Nothing else of a ``Host`` may get into a header of the answer."""


class HubGatekeeper:
    def __init__(self, settings: Settings, native: TokenVerifier, callers: Callers) -> None:
        self._settings = settings
        self._callers = callers
        self.tokens = HubTokens(settings, native)

    def address(self, request: Request) -> HubAddress:
        origin = own_origin(request)
        return HubAddress(origin if _ORIGIN.fullmatch(origin) else "http://localhost", self._settings.root_path)

    def metadata(self, request: Request) -> str:
        """Where the hub says about itself what clients of 1.0 want to know."""
        address = self.address(request)
        return f"{address.origin}{address.root}{METADATA_PATH}"

    async def caller(self, request: Request, role: HubRole, query_token: str = "") -> HubCaller:
        """Who asks; anonymous without a token.

        Raises :class:`MercureTokenBad`, :class:`~gateway.exceptions.Forbidden` for a cookie that a foreign page makes
        the browser send, and :class:`~gateway.exceptions.Unavailable` while tokens cannot be verified.
        """
        bearer = NOBODY
        try:
            bearer = bearer_of(request.scope["headers"], query_token, query_tokens=self._settings.query_tokens)
            if bearer is NOBODY:
                return HubCaller(ANONYMOUS, NO_RIGHTS)
            caller = await self.tokens.verify(bearer, role, self.address(request))
            self._callers.check_revoked(caller.principal)
        except (AuthError, Unauthorized) as error:
            metadata = self.metadata(request) if _speaks_modern(bearer) else ""
            raise MercureTokenBad(error.sentence, metadata) from None
        if bearer.source is Source.COOKIE:
            self._check_origin(request)
        return caller

    async def subscriber(self, request: Request, query_token: str) -> HubCaller:
        """Like :meth:`caller`; without a token only where the hub is open to everybody."""
        caller = await self.caller(request, HubRole.SUBSCRIBER, query_token)
        if caller.principal.anonymous and not self._settings.mercure_anonymous:
            raise self.missing(request)
        return caller

    def missing(self, request: Request) -> MercureTokenMissing:
        return MercureTokenMissing(
            "This needs a token: send it as Authorization: Bearer, or by cookie.", self.metadata(request)
        )

    def not_allowed(self, request: Request, caller: HubCaller, sentence: str) -> MercureNotAllowed:
        return MercureNotAllowed(sentence, self.metadata(request) if caller.rights.modern else "")

    def _check_origin(self, request: Request) -> None:
        """Refuse what a page of another site makes a browser do with the cookie (RFC 6454; else by its ``Referer``)."""
        origins = request.headers.getlist("origin")
        origin = ", ".join(origins) if origins else _origin_of(request.headers.get("referer"))
        changes = request.method not in READING
        own, listed = own_origin(request), self._settings.cors_origins
        elsewhere = origin is None and request.headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if elsewhere or not origin_allowed(origin, own, listed, required=changes):
            raise Forbidden(
                "The cookie may not be used by pages of this origin; list the origin in GATEWAY_CORS_ORIGINS."
            )


def _origin_of(referer: str | None) -> str | None:
    if not referer:
        return None
    try:
        parts = urlsplit(referer)
    except ValueError:
        return "null"
    return f"{parts.scheme}://{parts.netloc}"


def _speaks_modern(bearer: HubBearer) -> bool:
    """Whether the answer to a bad token should be in the words of 1.0."""
    try:
        return is_modern(read_header(bearer.token, ANY_ALGORITHM))
    except AuthError:
        return True

"""Verifies the hub's tokens: of which version one is, with whose key it is signed, and what it grants."""

from __future__ import annotations

import time
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from gateway.auth.claims import audiences, check_times, number, principal_from_claims
from gateway.auth.errors import INVALID, AuthError
from gateway.auth.jws import read_header, verified_claims
from gateway.auth.principal import NO_SCOPES, Principal, Source
from gateway.auth.tickets import is_ticket
from gateway.auth.token_verifier import TokenVerifier
from gateway.mercure.bearer import HubBearer
from gateway.mercure.form import HubAddress
from gateway.mercure.rights import HubRights, classic_rights, modern_rights
from gateway.settings.key_kinds import load_key
from gateway.settings.settings import Settings
from publisher.channels import check_id


class HubRole(StrEnum):
    """For what a token is shown: each may have a key of its own."""

    PUBLISHER = "publisher"
    SUBSCRIBER = "subscriber"


class HubKey(NamedTuple):
    key: Any
    algorithm: str


class HubCaller(NamedTuple):
    """Who asks, and what it may do on the hub."""

    principal: Principal
    rights: HubRights


def is_modern(header: Mapping[str, Any]) -> bool:
    """Whether a token says that it is an access token (RFC 9068), and so follows 1.0."""
    typ = header.get("typ")
    return isinstance(typ, str) and typ.lower().removeprefix("application/") == "at+jwt"


class HubTokens:
    """With keys of its own where it has them, else with ``native``'s."""

    def __init__(self, settings: Settings, native: TokenVerifier) -> None:
        self._settings = settings
        self._native = native
        self._keys = {
            HubRole.PUBLISHER: _key(settings.mercure_publisher_jwt_key, settings.mercure_publisher_jwt_alg),
            HubRole.SUBSCRIBER: _key(settings.mercure_subscriber_jwt_key, settings.mercure_subscriber_jwt_alg),
        }
        self._issuer = settings.mercure_jwt_issuer or settings.jwt_issuer

    def audience(self, address: HubAddress) -> str:
        """What ``aud`` of a token of 1.0 has to hold."""
        return self._settings.mercure_jwt_audience or self._settings.jwt_audience or address.url

    @property
    def issuer(self) -> str | None:
        return self._issuer

    async def verify(self, bearer: HubBearer, role: HubRole, address: HubAddress) -> HubCaller:
        """Raises :class:`AuthError`, and :class:`~gateway.auth.errors.AuthUnavailable` while no keys can be had."""
        own = self._keys[role]
        header = read_header(bearer.token, [own.algorithm] if own else self._settings.jwt_algorithms)
        if is_ticket(header):
            raise AuthError(INVALID, "This is a ticket, which opens native streams only.")
        modern = is_modern(header)
        if modern and bearer.source is Source.QUERY:
            raise AuthError(INVALID, "An access token may not stand in an address: send it as a header or cookie.")
        algorithm: str = header["alg"]
        key = own.key if own else await self._native.key(header, algorithm)
        claims = verified_claims(bearer.token, key, algorithm)
        if modern:
            self._check_modern(claims, address)
            return HubCaller(self._principal(claims, bearer.source), modern_rights(claims, address.url))
        if own is None:
            principal = principal_from_claims(claims, self._settings, source=bearer.source, now=time.time())
            return HubCaller(principal._replace(scopes=NO_SCOPES, channels=()), classic_rights(claims))
        check_times(claims, now=time.time(), leeway_s=self._settings.jwt_leeway_s, require_exp=False)
        return HubCaller(self._principal(claims, bearer.source), classic_rights(claims))

    def _check_modern(self, claims: Mapping[str, Any], address: HubAddress) -> None:
        check_times(claims, now=time.time(), leeway_s=self._settings.jwt_leeway_s, require_exp=True)
        if self._issuer is None:
            raise AuthError(INVALID, "This hub knows no issuer of access tokens (GATEWAY_MERCURE_JWT_ISSUER).")
        if claims.get("iss") != self._issuer:
            raise AuthError(INVALID, "The token is from another issuer.")
        if self.audience(address) not in audiences(claims):
            raise AuthError(INVALID, "The token is for another audience.")

    def _principal(self, claims: Mapping[str, Any], source: Source) -> Principal:
        return Principal(
            subject=_subject(claims.get("sub")),
            expires_at=number(claims, "exp"),
            issued_at=number(claims, "iat"),
            source=source,
        )


def _subject(sub: object) -> str | None:
    """Whose streams are counted together: issuers name subscribers as they like, by address among others."""
    try:
        return check_id(sub)
    except ValueError:
        return None


def _key(text: str | None, algorithm: str) -> HubKey | None:
    return HubKey(load_key(text), algorithm) if text else None

"""Verifies tokens: with a key from the settings, or with one of the issuer's key set."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from gateway.auth.claims import principal_from_claims
from gateway.auth.errors import INVALID, AuthError
from gateway.auth.jwks import KeySet
from gateway.auth.jws import read_header, verified_claims
from gateway.auth.principal import Principal, Source
from gateway.auth.tickets import is_ticket
from gateway.settings.key_kinds import load_key
from gateway.settings.settings import Settings


class TokenVerifier:
    """Remembers nothing but keys."""

    def __init__(
        self, settings: Settings, *, key_set: KeySet | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._key_set = key_set or (KeySet(settings.jwks_url) if settings.jwks_url else None)
        self._static_key = load_key(settings.token_key) if settings.token_key else None
        self._clock = clock

    async def verify(self, token: str) -> Principal:
        """The token's bearer. Raises :class:`AuthError` for a bad one, and
        :class:`~gateway.auth.errors.AuthUnavailable` while the key set cannot be had."""
        settings = self._settings
        header = read_header(token, settings.jwt_algorithms)
        if is_ticket(header):
            raise AuthError(INVALID, "This is a ticket, which opens streams only: send it as ?ticket=.")
        algorithm: str = header["alg"]
        claims = verified_claims(token, await self.key(header, algorithm), algorithm)
        return principal_from_claims(claims, settings, source=Source.HEADER, now=self._clock())

    async def aclose(self) -> None:
        """End background work."""
        if self._key_set is not None:
            await self._key_set.aclose()

    async def key(self, header: dict[str, Any], algorithm: str) -> Any:
        if self._key_set is not None:
            return await self._key_set.find(header.get("kid"), algorithm)
        if self._static_key is None:
            raise AuthError(INVALID, "This gateway takes no tokens, because it has no key to verify them with.")
        return self._static_key

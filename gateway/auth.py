"""Authentication: from a request's credentials to a principal, with keys from the settings, a key set or Redis."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from gateway.auth_errors import INVALID, AuthError
from gateway.claims import principal_from_claims
from gateway.credentials import Credentials
from gateway.jwks import KeySet
from gateway.jws import read_header, verified_claims
from gateway.principal import ANONYMOUS, Principal, Source
from gateway.settings import Settings
from gateway.ticket_key import TicketKey
from gateway.tickets import is_ticket, read_ticket
from gateway.token_keys import load_key

CACHE_SIZE: Final = 4096
CACHE_S: Final = 60.0
"""So long a verified token is taken at its word; a key that the issuer withdrew stops working this much later."""


class Authenticator:
    """Verifies tokens and tickets. Remembers good ones for a minute, so that a reconnect storm costs no signatures."""

    def __init__(
        self,
        settings: Settings,
        ticket_key: TicketKey,
        *,
        key_set: KeySet | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._ticket_key = ticket_key
        self._key_set = key_set or (KeySet(settings.jwks_url) if settings.jwks_url else None)
        self._static_key = load_key(settings.token_key) if settings.token_key else None
        self._clock = clock
        self._seen: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()

    async def authenticate(self, credentials: Credentials) -> Principal:
        """Who sent these credentials; :data:`~gateway.principal.ANONYMOUS` for none.

        Raises :class:`AuthError` for bad ones, also where anonymous reading is allowed, and
        :class:`~gateway.auth_errors.AuthUnavailable` while the keys cannot be had.
        """
        if credentials.source is Source.NONE:
            return ANONYMOUS
        is_ticket_source = credentials.source is Source.TICKET
        # The digest, not the token: a dump of the process shows no credentials of the past.
        name = hashlib.sha256((b"k" if is_ticket_source else b"t") + credentials.token.encode()).digest()
        principal = self._recall(name)
        if principal is None:
            verify = self._verify_ticket if is_ticket_source else self._verify_token
            principal = await verify(credentials.token)
            self._remember(name, principal)
        if principal.source is not credentials.source:
            principal = replace(principal, source=credentials.source)
        return principal

    async def aclose(self) -> None:
        """End background work."""
        if self._key_set is not None:
            await self._key_set.aclose()

    async def _verify_token(self, token: str) -> Principal:
        settings = self._settings
        header = read_header(token, settings.jwt_algorithms)
        if is_ticket(header):
            raise AuthError(INVALID, "This is a ticket, which opens streams only: send it as ?ticket=.")
        algorithm: str = header["alg"]
        claims = verified_claims(token, await self._token_key(header, algorithm), algorithm)
        return principal_from_claims(claims, settings, source=Source.HEADER, now=self._clock())

    async def _verify_ticket(self, ticket: str) -> Principal:
        key = await self._ticket_key.get()
        return read_ticket(ticket, key, now=self._clock(), leeway_s=self._settings.jwt_leeway_s)

    async def _token_key(self, header: dict[str, Any], algorithm: str) -> Any:
        if self._key_set is not None:
            return await self._key_set.find(header.get("kid"), algorithm)
        if self._static_key is None:
            raise AuthError(INVALID, "This gateway takes no tokens, because it has no key to verify them with.")
        return self._static_key

    def _recall(self, name: bytes) -> Principal | None:
        found = self._seen.get(name)
        if found is None:
            return None
        principal, until = found
        if self._clock() >= until:
            del self._seen[name]
            return None
        self._seen.move_to_end(name)
        return principal

    def _remember(self, name: bytes, principal: Principal) -> None:
        until = min(self._clock() + CACHE_S, principal.expires_at or float("inf"))
        self._seen[name] = (principal, until)
        if len(self._seen) > CACHE_SIZE:
            self._seen.popitem(last=False)

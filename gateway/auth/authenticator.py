"""Authentication: from a request's credentials to a principal, with keys from the settings, a key set or Redis."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from gateway.auth.credentials import Credentials
from gateway.auth.jwks import KeySet
from gateway.auth.principal import ANONYMOUS, Principal, Source
from gateway.auth.ticket_key import TicketKey, TicketKeys
from gateway.auth.tickets import OtherSecret, read_ticket
from gateway.auth.token_verifier import TokenVerifier
from gateway.settings.settings import Settings

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
        self.tokens = TokenVerifier(settings, key_set=key_set, clock=clock)
        self._clock = clock
        self._seen: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()

    async def authenticate(self, credentials: Credentials) -> Principal:
        """Who sent these credentials; :data:`~gateway.auth.principal.ANONYMOUS` for none.

        Raises :class:`~gateway.auth.errors.AuthError` for bad ones, also where anonymous reading is allowed, and
        :class:`~gateway.auth.errors.AuthUnavailable` while the keys cannot be had.
        """
        if credentials.source is Source.NONE:
            return ANONYMOUS
        is_ticket_source = credentials.source is Source.TICKET
        # The digest, not the token: a dump of the process shows no credentials of the past.
        name = hashlib.sha256((b"k" if is_ticket_source else b"t") + credentials.token.encode()).digest()
        principal = self._recall(name)
        if principal is None:
            verify = self._verify_ticket if is_ticket_source else self.tokens.verify
            principal = await verify(credentials.token)
            self._remember(name, principal)
        if principal.source is not credentials.source:
            principal = principal._replace(source=credentials.source)
        return principal

    async def aclose(self) -> None:
        """End background work."""
        await self.tokens.aclose()

    async def _verify_ticket(self, ticket: str) -> Principal:
        keys = await self._ticket_key.get()
        try:
            return self._read_ticket(ticket, keys)
        except OtherSecret:
            newer = await self._ticket_key.look_again()
            if newer == keys:
                raise
            return self._read_ticket(ticket, newer)

    def _read_ticket(self, ticket: str, keys: TicketKeys) -> Principal:
        return read_ticket(ticket, *keys.accepted, now=self._clock(), leeway_s=self._settings.jwt_leeway_s)

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

"""Who asks, and what it may do: the one way from a request to a principal, for every call and every stream."""

from __future__ import annotations

import time
from typing import Protocol

from starlette.requests import Request

from gateway.auth import access
from gateway.auth.authenticator import Authenticator
from gateway.auth.client_address import caller_of
from gateway.auth.credentials import Credentials
from gateway.auth.errors import token_required
from gateway.auth.principal import Principal, Source
from gateway.auth.same_site import require_own_page, require_same_site
from gateway.exceptions import Forbidden, Unauthorized, Unavailable
from gateway.fanout.ownership import UNKNOWN, Owner
from gateway.settings.settings import Settings
from publisher import channels as names
from publisher.job import Job


class KnownRevocations(Protocol):
    """What this node has heard of revocations."""

    loaded: bool
    """Whether it has read them since it started."""

    def revoked(self, subject: str, issued_at: float | None) -> bool:
        """Whether a token of this subject, issued then, is refused."""


class Callers:
    """``dev``: calls that say so let everybody in, from the developer's own pages."""

    def __init__(
        self, settings: Settings, authenticator: Authenticator, revocations: KnownRevocations, *, dev: bool = False
    ) -> None:
        self._settings = settings
        self._authenticator = authenticator
        self._revocations = revocations
        self._dev = dev

    async def caller(self, request: Request) -> Principal:
        """Who asks; anonymous without a token.

        Raises :class:`Unauthorized` for a bad or revoked token, :class:`Forbidden` for a cookie that a foreign page
        makes the browser send, and :class:`Unavailable` while tokens cannot be verified.
        """
        credentials = Credentials.from_request(request.scope["headers"], request.query_params, self._settings)
        principal = await self._authenticator.authenticate(credentials)
        self.check_revoked(principal)
        require_same_site(request, principal, self._settings)
        return principal

    async def reader(self, request: Request) -> Principal:
        """Like :meth:`caller`; without a token only where anonymous reading is on."""
        principal = await self.caller(request)
        if principal.anonymous and not self._settings.anonymous_reading:
            raise token_required()
        return principal

    async def holder(self, request: Request, scope: str, *, allow_dev: bool = False) -> Principal:
        """Like :meth:`caller`, who has to hold ``scope``. With ``allow_dev`` a node in development mode lets everybody
        in.

        Raises :class:`Unauthorized` also without a token, and :class:`Forbidden` where the token lacks the scope.
        """
        caller = await self.caller(request)
        if caller.has(scope):
            return caller
        if allow_dev and self._dev:
            require_own_page(request, self._settings)
            return caller
        if caller.anonymous:
            raise token_required()
        if caller.source is Source.TICKET:
            raise Forbidden("A ticket only opens streams; use a token.")
        raise Forbidden(f"The token lacks the scope {scope}; ask its issuer for one with it.")

    def check_revoked(self, principal: Principal) -> None:
        """Raise :class:`Unauthorized` for a token whose subject was revoked after it had been issued, and
        :class:`Unavailable` where this node cannot know that yet."""
        if principal.subject is None:
            return
        if not self._revocations.loaded:
            raise Unavailable("The node has just started and does not know yet which tokens were revoked; try again.")
        if self._revocations.revoked(principal.subject, principal.issued_at):
            raise Unauthorized("The token was revoked; sign in again.")

    def still_good(self, principal: Principal) -> bool:
        """Whether the token of an answer that is under way has neither been revoked nor has expired meanwhile."""
        try:
            self.check_revoked(principal)
        except (Unauthorized, Unavailable):
            return False
        return principal.expires_at is None or time.time() <= principal.expires_at + self._settings.jwt_leeway_s

    def check_channels(self, principal: Principal, channels: tuple[str, ...]) -> None:
        """Refuse channels that this caller may not read. Jobs are decided when their owner is known."""
        for channel in channels:
            if names.job_id_of(channel) is None and not self.may_read(principal, channel):
                if principal.anonymous:
                    raise token_required()
                raise Forbidden(f"The token does not allow reading {channel}.")

    def may_read_job(self, principal: Principal, job: Job) -> bool:
        return self.may_read(principal, names.job_channel(job.job_id), job.owner)

    def may_read(self, principal: Principal, channel: str, job_owner: Owner = UNKNOWN) -> bool:
        return access.may_read(
            principal, channel, anonymous_reading=self._settings.anonymous_reading, job_owner=job_owner
        )


def user_key(principal: Principal, request: Request) -> str:
    """Whom a stream counts for: the token's subject, else the client's address (of IPv6: its /64 network)."""
    if principal.subject is not None:
        return f"sub:{principal.subject}"
    return f"addr:{caller_of(request.client.host) if request.client else 'unknown'}"

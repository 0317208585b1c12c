"""Tickets: short-lived, read-only passes for exactly named channels, which may stand in a URL.

A ticket is a JWT with a type, an audience and a key of its own, so that it never passes as a token nor a token as a
ticket.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from gateway.auth.access import may_mint
from gateway.auth.claims import channel_list, check_times, number, subject_of
from gateway.auth.credentials import MAX_TOKEN_BYTES
from gateway.auth.errors import EXPIRED, INVALID, AuthError
from gateway.auth.jws import read_header, signed, verified_claims
from gateway.auth.principal import Principal, Source
from publisher.channels import check_channel

TYPE: Final = "sse-ticket+jwt"
AUDIENCE: Final = "sse-gateway:ticket"
MAX_TTL_S: Final = 900
MAX_CHANNELS: Final = 32
_ALGORITHMS: Final = ("HS256",)


class Ticket(NamedTuple):
    """A minted ticket. ``expires_at`` is in Unix seconds."""

    ticket: str
    expires_at: int
    channels: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Ticket(expires_at={self.expires_at}, channels={self.channels})"


def mint(principal: Principal, channels: Sequence[object], key: str, *, now: float) -> Ticket:
    """A ticket for channels that the caller has been found to be allowed to read.

    It lasts 15 minutes, and never longer than the caller's own token. Raises ``ValueError`` for a bad list of channels
    and :class:`AuthError` for a caller that is a ticket itself or has expired.
    """
    if not may_mint(principal):
        raise AuthError(INVALID, "A ticket cannot be used to get tickets; use the token.")
    if not 1 <= len(channels) <= MAX_CHANNELS:
        raise ValueError(f"A ticket is for 1 to {MAX_CHANNELS} channels.")
    names = tuple(dict.fromkeys(check_channel(channel) for channel in channels))
    expires_at = int(min(now + MAX_TTL_S, principal.expires_at or float("inf")))
    if expires_at <= now:
        raise AuthError(EXPIRED, "The token has expired; get a new one.")
    claims: dict[str, object] = {"aud": AUDIENCE, "exp": expires_at, "channels": list(names)}
    if principal.subject is not None:
        claims["sub"] = principal.subject
    if principal.issued_at is not None:
        # Of the token: what revokes that must revoke the ticket, also where a node minted it that had not heard yet.
        claims["iat"] = principal.issued_at
    ticket = signed(claims, key, TYPE)
    if len(ticket) > MAX_TOKEN_BYTES:
        raise ValueError(
            "The channels' names are too long for one ticket; get several tickets, each for fewer channels."
        )
    return Ticket(ticket, expires_at, names)


def is_ticket(header: dict[str, object]) -> bool:
    """Whether a token's header says that it is a ticket, which no token may."""
    return header.get("typ") == TYPE


class OtherSecret(AuthError):
    """No secret at hand signed the ticket; one that nodes have come to share since may have."""


def read_ticket(ticket: str, *keys: str, now: float, leeway_s: float = 0) -> Principal:
    """The bearer of a ticket that one of the keys signed.

    Raises :class:`AuthError`, and of that :class:`OtherSecret` where none of them did.

    ``leeway_s``: how far the clock of the node that minted it may be ahead; it does not make the ticket last longer.
    One that would last longer than any that is minted is refused, so that whoever had the secret for a moment does not
    have tickets for years.
    """
    header = read_header(ticket, _ALGORITHMS)
    if not is_ticket(header):
        raise AuthError(INVALID, "This is not a ticket; send a token as Authorization: Bearer.")
    claims = _claims(ticket, keys)
    if claims.get("aud") != AUDIENCE:
        raise AuthError(INVALID, "The ticket is for another audience.")
    check_times(claims, now=now, leeway_s=leeway_s, require_exp=True)
    expires_at = number(claims, "exp")
    if expires_at is None or expires_at <= now:
        raise AuthError(EXPIRED, "The ticket has expired; get a new one.")
    if expires_at > now + MAX_TTL_S + leeway_s:
        raise AuthError(INVALID, f"The ticket is for longer than {MAX_TTL_S} s; get one from POST /v1/tickets.")
    return Principal(
        subject=subject_of(claims),
        exact=frozenset(channel_list(claims)),
        expires_at=expires_at,
        issued_at=number(claims, "iat"),
        source=Source.TICKET,
    )


def _claims(ticket: str, keys: Sequence[str]) -> dict[str, Any]:
    for key in keys:
        try:
            return verified_claims(ticket, key, "HS256")
        except AuthError as error:
            reason = error.sentence
    raise OtherSecret(INVALID, reason)

"""What a token's claims say, checked one by one: from a verified payload to a principal, without I/O."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gateway.auth.errors import EXPIRED, INVALID, AuthError
from gateway.auth.principal import NO_SCOPES, SCOPES, Principal, Source
from gateway.settings.settings import Settings
from publisher.channels import check_id


def principal_from_claims(claims: Mapping[str, Any], settings: Settings, *, source: Source, now: float) -> Principal:
    """The bearer of a token with these claims at ``now`` (Unix seconds). Raises :class:`AuthError`."""
    expires, issued = check_times(claims, now=now, leeway_s=settings.jwt_leeway_s, require_exp=settings.jwt_require_exp)
    if settings.jwt_audience is not None and settings.jwt_audience not in audiences(claims):
        raise AuthError(INVALID, "The token is for another audience.")
    if settings.jwt_issuer is not None and claims.get("iss") != settings.jwt_issuer:
        raise AuthError(INVALID, "The token is from another issuer.")
    scope = claims.get("scope", "")
    if not isinstance(scope, str):
        raise AuthError(INVALID, "The token's scope must be one text with spaces between the scopes.")
    return Principal(
        subject=_whose(claims, settings),
        scopes=frozenset(scope.split(" ")) & SCOPES if scope else NO_SCOPES,  # RFC 6749, 3.3: U+0020 and nothing else
        channels=tuple(channel_list(claims)),
        expires_at=expires,
        issued_at=issued,
        source=source,
    )


def check_times(
    claims: Mapping[str, Any], *, now: float, leeway_s: float, require_exp: bool
) -> tuple[float | None, float | None]:
    """Refuse what has expired, is not valid yet, or was issued in the future; else when it expires and was issued."""
    expires, not_before, issued = number(claims, "exp"), number(claims, "nbf"), number(claims, "iat")
    if expires is None and require_exp:
        raise AuthError(
            INVALID,
            "The token never expires (no exp); the gateway wants GATEWAY_JWT_REQUIRE_EXP=false for such tokens.",
        )
    if expires is not None and expires + leeway_s <= now:
        raise AuthError(EXPIRED, "The token has expired; get a new one.")
    if not_before is not None and not_before - leeway_s > now:
        raise AuthError(INVALID, "The token is not valid yet (nbf); compare the clocks.")
    if issued is not None and issued - leeway_s > now:
        raise AuthError(INVALID, "The token was issued in the future (iat); compare the clocks.")
    return expires, issued


def number(claims: Mapping[str, Any], name: str) -> float | None:
    """A numeric date, None where the claim is absent."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
        raise AuthError(INVALID, f"The token's {name} must be a number of seconds.")
    return float(value)


def subject_of(claims: Mapping[str, Any]) -> str | None:
    subject = claims.get("sub")
    if subject is None:
        return None
    try:
        return check_id(subject, "token's sub")
    except ValueError as error:
        raise AuthError(INVALID, str(error)) from None


def _whose(claims: Mapping[str, Any], settings: Settings) -> str | None:
    subject = subject_of(claims)
    if subject is None and settings.jwt_require_sub:
        raise AuthError(
            INVALID,
            "The token is nobody's (no sub), so it could not be revoked; the gateway wants "
            "GATEWAY_JWT_REQUIRE_SUB=false for such tokens.",
        )
    return subject


def channel_list(claims: Mapping[str, Any]) -> list[str]:
    channels = claims.get("channels", [])
    if not isinstance(channels, list) or not all(isinstance(each, str) and each for each in channels):
        raise AuthError(INVALID, "The token's channels must be a list of texts.")
    return channels


def audiences(claims: Mapping[str, Any]) -> list[str]:
    audience = claims.get("aud", [])
    names = [audience] if isinstance(audience, str) else audience
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise AuthError(INVALID, "The token's aud must be a text or a list of texts.")
    return names


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer too large for a float
        return False

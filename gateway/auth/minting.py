"""Makes tokens with the node's own shared secret: for tests by hand, for small set-ups, and for ``dev``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway.auth.credentials import MAX_TOKEN_BYTES
from gateway.auth.jws import signed
from gateway.auth.principal import SCOPES
from gateway.settings.settings import Settings, SettingsError
from gateway.settings.values import SYMMETRIC
from publisher.channels import check_id

MAX_TTL_S: Final = 10 * 365 * 86_400
MAX_PATTERNS: Final = 100


def mint_token(
    settings: Settings,
    subject: str,
    *,
    scope: str = "",
    channels: Sequence[str] = (),
    mercure: Mapping[str, Sequence[str]] | None = None,
    ttl_s: int = 3600,
    now: float,
) -> str:
    """A token that this gateway accepts, valid for ``ttl_s`` seconds from ``now`` (Unix seconds). ``mercure`` are topic
    selectors that it may ``publish`` and ``subscribe`` on the Mercure hub.

    Raises ``ValueError`` with a sentence for claims that make no sense; ``SettingsError``, which is one, where there is
    no shared secret.
    """
    if not 1 <= ttl_s <= MAX_TTL_S:
        raise ValueError(f"The time to live must be 1 to {MAX_TTL_S} seconds.")
    claims: dict[str, Any] = {"sub": check_id(subject, "subject"), "iat": int(now), "exp": int(now) + ttl_s}
    if names := _scopes(scope):
        claims["scope"] = " ".join(names)
    if channels:
        claims["channels"] = _patterns(channels)
    if mercure:
        claims["mercure"] = {name: list(selectors) for name, selectors in mercure.items()}
    if settings.jwt_audience is not None:
        claims["aud"] = settings.jwt_audience
    if settings.jwt_issuer is not None:
        claims["iss"] = settings.jwt_issuer
    token = signed(claims, _secret(settings), "JWT", settings.jwt_algorithms[0])
    if len(token) > MAX_TOKEN_BYTES:
        raise ValueError(f"The token would be longer than {MAX_TOKEN_BYTES} bytes; name fewer channels.")
    return token


def _secret(settings: Settings) -> str:
    if settings.token_key is None or settings.jwt_algorithms[0] not in SYMMETRIC:
        raise SettingsError(
            "Tokens are made with a shared secret, and there is none: set GATEWAY_JWT_KEY (with HS256, HS384 or HS512 "
            "in GATEWAY_JWT_ALGORITHMS), or let your identity provider make the token."
        )
    return settings.token_key


def _scopes(scope: str) -> list[str]:
    names = [name for name in scope.split(" ") if name]
    unknown = [name for name in names if name not in SCOPES]
    if unknown:
        raise ValueError(f"There is no scope {unknown[0]}; the scopes are {', '.join(sorted(SCOPES))}.")
    return names


def _patterns(channels: Sequence[str]) -> list[str]:
    for pattern in channels:
        if not pattern or len(pattern) > 256 or not pattern.isprintable() or " " in pattern:
            raise ValueError("A channel pattern is a channel such as topic:news, with * at the end for any rest.")
    if len(channels) > MAX_PATTERNS:
        raise ValueError(f"A token may name at most {MAX_PATTERNS} channel patterns.")
    return list(channels)

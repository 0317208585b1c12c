"""Why credentials were not accepted. No message ever holds the credentials or a part of them."""

from __future__ import annotations

from typing import Final

INVALID: Final = "invalid_token"
EXPIRED: Final = "expired_token"
REQUIRED: Final = "token_required"


class AuthError(Exception):
    """The request's token or ticket is not good: answered with 401, ``code``, ``message`` and ``challenge``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def challenge(self) -> str:
        """The value of ``WWW-Authenticate`` (RFC 6750): without ``error`` where no token was sent."""
        return 'Bearer realm="sse-gateway"' + ("" if self.code == REQUIRED else ', error="invalid_token"')


class AuthUnavailable(ConnectionError):
    """The keys cannot be had right now, because Redis or the key-set endpoint is away: a temporary refusal."""


def token_required() -> AuthError:
    """For a request without credentials where some are needed."""
    return AuthError(REQUIRED, "This needs a token: send it as Authorization: Bearer, by cookie, or use a ticket.")

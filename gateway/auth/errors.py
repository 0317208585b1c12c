"""Why credentials were not accepted. No message ever holds the credentials or a part of them."""

from __future__ import annotations

from typing import Final

from gateway.exceptions import Unauthorized, Unavailable

INVALID: Final = "invalid_token"
EXPIRED: Final = "expired_token"
REQUIRED: Final = "token_required"


class AuthError(Unauthorized):
    """The request's token or ticket is not good; the challenge has no ``error`` where none was sent."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        if code != REQUIRED:
            self.challenge += ', error="invalid_token"'


class AuthUnavailable(Unavailable):
    """The keys cannot be had right now, because Redis or the key-set endpoint is away: a temporary refusal."""


def token_required() -> AuthError:
    """For a request without credentials where some are needed."""
    return AuthError(REQUIRED, "This needs a token: send it as Authorization: Bearer, by cookie, or use a ticket.")

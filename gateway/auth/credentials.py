"""The token or ticket that a request carries: where it may be, and which one counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from gateway.auth.errors import INVALID, AuthError
from gateway.auth.principal import Source
from gateway.settings.settings import Settings

MAX_TOKEN_BYTES: Final = 8192
OTHER_SCHEMES: Final = frozenset({"basic", "digest", "negotiate", "ntlm"})
QUERY_NAMES: Final = ("access_token", "token", "api_key")


class Credentials(NamedTuple):
    """One token or ticket and where it was, or nothing (:data:`NO_CREDENTIALS`)."""

    source: Source
    token: str

    def __repr__(self) -> str:
        return f"Credentials({self.source.value})"

    @classmethod
    def from_request(
        cls, headers: Iterable[tuple[bytes, bytes]], query: Mapping[str, str], settings: Settings
    ) -> Credentials:
        """Take exactly one, in this order: header, ticket, cookie, and (if switched on) query. The rest is ignored.

        Header names are lower case, as ASGI has them. Raises :class:`AuthError` where the one that counts is unusable.
        """
        authorization: list[bytes] = []
        cookies: list[bytes] = []
        for name, value in headers:
            if name == b"authorization":
                authorization.append(value)
            elif name == b"cookie":
                cookies.append(value)
        token_sent = bearer(authorization)
        if token_sent is not None:
            return cls(Source.HEADER, checked(token_sent))
        ticket = query.get("ticket")
        if ticket:
            return cls(Source.TICKET, checked(ticket))
        kept = cookie(cookies, settings.token_cookie)
        if kept:
            return cls(Source.COOKIE, checked(kept))
        if settings.query_tokens:
            for query_name in QUERY_NAMES:
                token = query.get(query_name)
                if token:
                    return cls(Source.QUERY, checked(token))
        return NO_CREDENTIALS


NO_CREDENTIALS: Final = Credentials(Source.NONE, "")


def bearer(values: list[bytes]) -> str | None:
    """The bearer token, None without one: Basic and the like are for a proxy in front, not for the node."""
    if not values:
        return None
    if len(values) > 1:
        raise AuthError(INVALID, "There are several Authorization headers; send one.")
    scheme, _, token = values[0].decode("latin-1").strip(" \t").partition(" ")
    if scheme.lower() in OTHER_SCHEMES:
        return None
    if scheme.lower() != "bearer":
        raise AuthError(INVALID, "The Authorization header is none of a bearer: write Authorization: Bearer TOKEN.")
    return token.strip(" \t")


def cookie(values: list[bytes], name: str) -> str | None:
    for value in values:
        for part in value.decode("latin-1").split(";"):
            found, _, content = part.strip(" \t").partition("=")
            if found == name:
                return content.strip(" \t").strip('"')
    return None


def checked(token: str) -> str:
    if len(token) > MAX_TOKEN_BYTES:
        raise AuthError(INVALID, f"The token is longer than {MAX_TOKEN_BYTES} bytes.")
    if not token.isascii() or token.count(".") != 2:
        raise AuthError(INVALID, "The token is not a JWT: three parts with dots between them.")
    return token

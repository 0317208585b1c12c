"""The token of a request to the hub: where it may be, and which one counts. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from gateway.auth import credentials
from gateway.auth.errors import AuthError
from gateway.auth.principal import Source
from gateway.mercure.errors import MercureTokenOdd

COOKIES: Final = ("__Secure-mercure_access_token", "mercureAuthorization")
"""That of 1.0 first."""


class HubBearer(NamedTuple):
    """One token and where it was; an empty one where there is none."""

    source: Source
    token: str


NOBODY: Final = HubBearer(Source.NONE, "")


def bearer_of(headers: Iterable[tuple[bytes, bytes]], query_token: str, *, query_tokens: bool) -> HubBearer:
    """Header, then query (where that is switched on), then cookie; the rest is ignored. Raises :class:`AuthError`, and
    :class:`MercureTokenOdd` for a header that is no bearer's."""
    lines = list(headers)
    try:
        token = credentials.bearer([value for name, value in lines if name == b"authorization"])
    except AuthError as error:
        raise MercureTokenOdd(error.sentence) from None
    if token is not None:
        return HubBearer(Source.HEADER, credentials.checked(token))
    if query_token and query_tokens:
        return HubBearer(Source.QUERY, credentials.checked(query_token))
    cookies = [value for name, value in lines if name == b"cookie"]
    for cookie_name in COOKIES:
        token = credentials.cookie(cookies, cookie_name)
        if token:
            return HubBearer(Source.COOKIE, credentials.checked(token))
    return NOBODY

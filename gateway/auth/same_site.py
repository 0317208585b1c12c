"""What a call needs besides good credentials: a page that may use the cookie."""

from __future__ import annotations

import re
from typing import Final

from starlette.requests import Request

from gateway.auth.access import origin_allowed
from gateway.auth.principal import Principal, Source
from gateway.exceptions import Forbidden
from gateway.settings.settings import Settings

READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
LOCAL_NAME: Final = re.compile(
    r"(?:(?:[a-z0-9-]+\.)*localhost|[0-9]{1,3}(?:\.[0-9]{1,3}){3}|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.IGNORECASE
)
"""A ``Host`` that no other site can have."""


def require_local_name(request: Request) -> None:
    """Refuse other names than localhost and addresses: a page of another site can make its own name point here, and
    would then read the answer as its own. It is the raw header that counts, since odd ones are replaced elsewhere."""
    names = request.headers.getlist("host")
    if len(names) != 1 or not LOCAL_NAME.fullmatch(names[0]):
        raise Forbidden("What only dev offers is for localhost; open this page by its address.")


def require_own_page(request: Request, settings: Settings) -> None:
    """What anybody may do in development, a page that the developer happens to visit may not."""
    require_local_name(request)
    origin = request.headers.get("origin")
    if not origin_allowed(origin, own_origin(request), settings.cors_origins, required=False):
        raise Forbidden("Pages of this origin may not do this; list the origin in GATEWAY_CORS_ORIGINS.")


def require_same_site(request: Request, principal: Principal, settings: Settings) -> None:
    """Refuse what a page of another site makes a browser do with this node's cookie. Raises :class:`Forbidden`.

    Only a cookie is sent along unasked; a page that holds any other credentials has been given them.
    """
    if principal.source is not Source.COOKIE:
        return
    origins = request.headers.getlist("origin")
    origin = ", ".join(origins) if origins else None  # several are no origin at all, and so not allowed
    changes = request.method not in READING
    allowed = origin_allowed(origin, own_origin(request), settings.cors_origins, required=changes)
    if allowed and not (origin is None and _is_from_elsewhere(request)):
        return
    if origin is None and changes:
        raise Forbidden("A call with a cookie needs the header Origin; or send the token as Authorization: Bearer.")
    raise Forbidden("The cookie may not be used by pages of this origin; list the origin in GATEWAY_CORS_ORIGINS.")


def _is_from_elsewhere(request: Request) -> bool:
    """Whether the browser says so: images and links of other sites send cookies but no ``Origin``. They cannot read the
    answer, but a stream would take up one of the user's places."""
    return request.headers.get("sec-fetch-site") in ("cross-site", "same-site")


def own_origin(request: Request) -> str:
    """Where a browser reaches this node. A proxy in front has to pass the ``Host`` on; the scheme is the one that a
    trusted proxy names."""
    return f"{request.url.scheme}://{request.headers.get('host', '')}"

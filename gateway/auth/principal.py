"""Who is asking: what a checked token or ticket says about its bearer."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from gateway.auth.errors import token_required

PUBLISH: Final = "publish"
STATS: Final = "stats"
ADMIN: Final = "admin"
SCOPES: Final = frozenset({PUBLISH, STATS, ADMIN})
NO_SCOPES: Final[frozenset[str]] = frozenset()


class Source(StrEnum):
    """How the credentials came with the request."""

    NONE = "none"
    HEADER = "header"
    COOKIE = "cookie"
    TICKET = "ticket"
    QUERY = "query"


class Principal(NamedTuple):
    """The bearer of a token or ticket, or anybody (:data:`ANONYMOUS`). Times are seconds since the Unix epoch.

    ``channels`` are patterns that it may read beside its own; ``*`` at the end matches any rest. ``exact`` is set for a
    ticket: it opens exactly these channels and nothing else, and has no scopes.
    """

    subject: str | None = None
    scopes: frozenset[str] = frozenset()
    channels: tuple[str, ...] = ()
    exact: frozenset[str] | None = None
    expires_at: float | None = None
    issued_at: float | None = None
    source: Source = Source.HEADER

    @property
    def anonymous(self) -> bool:
        """Whether there were no credentials at all."""
        return self.source is Source.NONE

    def known_subject(self) -> str:
        """Whose token it is. Raises :class:`~gateway.exceptions.Unauthorized` where nobody has signed in."""
        if self.subject is None:
            raise token_required()
        return self.subject

    def has(self, scope: str) -> bool:
        """Whether it holds a scope; ``admin`` implies the others. A ticket never does."""
        return self.exact is None and (scope in self.scopes or ADMIN in self.scopes)


ANONYMOUS: Final = Principal(source=Source.NONE)

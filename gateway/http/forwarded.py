"""What the proxies in front say about the client: its address and scheme, as far as they are trusted."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.types import Scope

from gateway.auth.client_address import TrustedProxies, plain, without_port

SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


class Forwarded:
    """A step that puts the client's address and scheme into the scope."""

    def __init__(self, trusted: TrustedProxies) -> None:
        self._trusted = trusted

    def __call__(self, scope: Scope) -> None:
        client = scope["client"]
        if client:
            host = plain(client[0])
            scope["client"] = (host, client[1])
            for name, _ in scope["headers"]:
                if name.startswith(b"x-forwarded-"):
                    if host in self._trusted:
                        self._take(scope)
                    break

    def _take(self, scope: Scope) -> None:
        addresses = [without_port(text) for text in values(scope["headers"], b"x-forwarded-for")]
        schemes = values(scope["headers"], b"x-forwarded-proto")
        index = self._trusted.client(addresses) if addresses else 0
        if addresses and addresses[index]:
            scope["client"] = (addresses[index], 0)
        scheme = scheme_of(schemes, index if len(schemes) == len(addresses) else 0)
        if scheme is not None:
            scope["scheme"] = scheme


def scheme_of(schemes: list[str], index: int) -> str | None:
    """How the client came. Where every proxy has added its own, the one beside the client's address counts, else the
    first; None where it is not one that can be."""
    return SCHEMES.get(schemes[index].lower()) if schemes else None


def values(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[str]:
    """The parts of a header's comma list, over all lines of that name."""
    lines = [value.decode("latin-1") for found, value in headers if found == name]
    return [part.strip() for line in lines for part in line.split(",")]

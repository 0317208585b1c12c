"""The issuer's key set: fetched when needed, kept while its endpoint is away, never fetched in a hurry.

Unknown key ids are what an attacker can make up, so they cause at most one fetch per ``pause_s``.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import jwt

from gateway.auth.errors import INVALID, AuthError, AuthUnavailable
from gateway.logs.log import Log
from gateway.settings.key_kinds import fitting_algorithms

TIMEOUT_S: Final = 5.0
PAUSE_S: Final = 30.0
"""The least time between two fetches."""
FIRST_PAUSE_S: Final = 1.0
"""The same as long as there are no keys."""
MAX_AGE_S: Final = 600.0
"""When a fresh look is due."""
MAX_BYTES: Final = 256 * 1024
MAX_KEYS: Final = 100
_log = Log("gateway.auth")


class KeySetError(Exception):
    """The endpoint did not give a key set; the sentence says what came instead."""


class Key(NamedTuple):
    """One public key and the algorithms that it may verify."""

    kid: str | None
    public: Any
    algorithms: tuple[str, ...]


class KeySet:
    """The keys of ``url``."""

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._clock = clock
        self._keys: list[Key] = []
        self._tried_at = -float("inf")
        self._fetched_at = -float("inf")
        self._fetch: asyncio.Task[None] | None = None

    async def find(self, kid: object, algorithm: str) -> Any:
        """The public key for a token's ``kid`` and ``alg``.

        Raises :class:`AuthError` for a key that the set does not have, :class:`AuthUnavailable` while there is no set.
        """
        key = self._known(kid, algorithm)
        if key is not None:
            if self._clock() - self._fetched_at > MAX_AGE_S:
                self._begin_fetch()
            return key.public
        fetch = self._begin_fetch()
        if fetch is not None:
            await asyncio.shield(fetch)
            key = self._known(kid, algorithm)
        if key is not None:
            return key.public
        if not self._keys:
            raise AuthUnavailable("The key set that verifies tokens cannot be fetched right now; try again soon.")
        raise AuthError(INVALID, "The token names no key of the issuer's key set that fits its algorithm.")

    async def aclose(self) -> None:
        """End a fetch that is under way."""
        if self._fetch is not None:
            self._fetch.cancel()
            await asyncio.gather(self._fetch, return_exceptions=True)

    def _known(self, kid: object, algorithm: str) -> Key | None:
        fitting = [key for key in self._keys if algorithm in key.algorithms]
        if kid is None:  # allowed where there is no choice
            return fitting[0] if len(fitting) == 1 else None
        return next((key for key in fitting if key.kid == kid), None)

    def _begin_fetch(self) -> asyncio.Task[None] | None:
        """The fetch under way, else a new one, else None because the last one was just now."""
        if self._fetch is not None and not self._fetch.done():
            return self._fetch
        pause_s = PAUSE_S if self._keys else FIRST_PAUSE_S
        if self._clock() - self._tried_at < pause_s:
            return None
        self._tried_at = self._clock()
        self._fetch = asyncio.create_task(self._refresh(), name="jwks-fetch")
        return self._fetch

    async def _refresh(self) -> None:
        try:
            self._keys = await fetch(self._url)
            self._fetched_at = self._clock()
        except KeySetError as error:
            kept = f"the {len(self._keys)} keys of before stay in use" if self._keys else "no token can be verified"
            words = f"The key set of GATEWAY_JWKS_URL could not be had, {kept}: {error}"
            _log.warning("keys.fetch_failed", words=words)


async def fetch(url: str) -> list[Key]:
    """Raises :class:`KeySetError` whatever goes wrong, within :data:`TIMEOUT_S`.

    Keys come from the configured address itself: a redirect is an error.
    """
    from gateway.http_client.client import CallError, CallTimeout, HttpClient  # only who has a key set pays for httpx

    client = HttpClient(proxies=True)
    try:
        reply = await client.call(url, timeout_s=TIMEOUT_S, max_bytes=MAX_BYTES, headers={"Accept": "application/json"})
    except CallTimeout:
        raise KeySetError(f"it was not complete within {TIMEOUT_S:g} s") from None
    except CallError as error:
        raise KeySetError(str(error)) from None
    finally:
        await client.aclose()
    if not 200 <= reply.status < 300:
        raise KeySetError(f"the endpoint answered {reply.status}")
    return parse_key_set(reply.body)


def parse_key_set(body: bytes) -> list[Key]:
    """The usable signature keys of a key set; others (encryption, secrets, unknown kinds) are left out."""
    try:
        data = json.loads(body)
        entries = data["keys"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise KeySetError("it is not a JSON Web Key Set") from None
    if not isinstance(entries, list) or len(entries) > MAX_KEYS:
        raise KeySetError(f"it must hold a list of at most {MAX_KEYS} keys")
    keys = [key for key in map(_parse_key, entries) if key is not None]
    if not keys:
        raise KeySetError("it holds no public key for signatures")
    return keys


def _parse_key(entry: object) -> Key | None:
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or entry.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    kid, named = entry.get("kid"), entry.get("alg")
    try:
        public = jwt.PyJWK({k: v for k, v in entry.items() if k not in ("alg", "d")}).key
        fitting = fitting_algorithms(public)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    if named is not None:
        fitting = tuple(name for name in fitting if name == named)
    return Key(kid if isinstance(kid, str) else None, public, fitting) if fitting else None

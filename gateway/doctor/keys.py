"""How strong the key is that tokens are verified with, and whether a key set can be had."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from gateway.auth.jwks import Key, KeySetError, fetch
from gateway.doctor.finding import Finding, ok, problem, warning
from gateway.settings.key_kinds import LEAST_SECRET_BYTES, MAKE_SECRET
from gateway.settings.settings import Settings
from gateway.settings.values import SYMMETRIC

STRENGTH: Final = "token key"
KEY_SET: Final = "key set"
LEAST_VARIETY: Final = 12
"""Different bytes in a secret; a random one of 32 characters has more."""


def judge_key(settings: Settings) -> Finding | None:
    """What to say about the configured key; None where a key set takes its place."""
    if settings.jwks_url:
        return None
    key = settings.token_key
    if key is None:
        if settings.anonymous_reading:
            return ok(STRENGTH, "none is configured, streams without an owner are open to everybody")
        return problem(
            STRENGTH,
            "none is configured, so that nobody could read anything and serve does not start",
            "Set GATEWAY_JWT_KEY, GATEWAY_JWT_KEY_FILE or GATEWAY_JWKS_URL, or else GATEWAY_ANONYMOUS=read.",
        )
    symmetric = [name for name in settings.jwt_algorithms if name in SYMMETRIC]
    if not symmetric:
        return ok(STRENGTH, f"a public key for {', '.join(settings.jwt_algorithms)}")
    return judge_secret(key, symmetric)


def judge_secret(key: str, algorithms: Sequence[str]) -> Finding:
    size, wanted = len(key.encode()), max(int(name[2:]) // 8 for name in algorithms)
    if size < LEAST_SECRET_BYTES:
        return problem(
            STRENGTH,
            f"the shared secret is shorter than {LEAST_SECRET_BYTES} bytes: whoever has one token can try to guess it, "
            "and then be anybody; serve does not start with it",
            f"{MAKE_SECRET}, and give it to the issuer of tokens too.",
        )
    if len(set(key.encode())) < LEAST_VARIETY:
        return problem(STRENGTH, "the shared secret is long, but easy to guess: it repeats itself", f"{MAKE_SECRET}.")
    if size < wanted:
        return warning(
            STRENGTH,
            f"the shared secret is shorter than the {wanted} bytes that {algorithms[0]} asks for",
            f"{MAKE_SECRET}.",
        )
    return ok(STRENGTH, f"a shared secret of at least {wanted} bytes for {', '.join(algorithms)}")


def check_key_set(settings: Settings) -> Finding | None:
    """Fetch the key set as a node does, bounded in time; None where none is configured."""
    if not settings.jwks_url:
        return None
    try:
        keys = asyncio.run(fetch(settings.jwks_url))
    except KeySetError as error:
        return problem(
            KEY_SET,
            f"it cannot be had: {error}; until it can, no token is accepted",
            "Check GATEWAY_JWKS_URL, and that this machine may reach it.",
        )
    return judge_key_set(keys, settings.jwt_algorithms, settings.jwks_url)


def judge_key_set(keys: Sequence[Key], algorithms: Sequence[str], url: str) -> Finding:
    useful = [key for key in keys if set(key.algorithms) & set(algorithms)]
    if not useful:
        found = ", ".join(sorted({name for key in keys for name in key.algorithms}))
        return problem(
            KEY_SET,
            f"none of its keys fits GATEWAY_JWT_ALGORITHMS={','.join(algorithms)}; they fit {found}",
            "Set GATEWAY_JWT_ALGORITHMS to what the issuer signs with.",
        )
    if urlsplit(url).scheme == "http" and not _is_local(urlsplit(url).hostname or ""):
        return warning(
            KEY_SET, "it comes over plain HTTP, where others on the way may put in keys of theirs", "Use https://."
        )
    return ok(KEY_SET, f"{len(useful)} of {len(keys)} keys verify {', '.join(algorithms)}")


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

"""Signatures: from the text of a token to its verified header and payload, with PyJWT underneath."""

from __future__ import annotations

import hmac
import json
from binascii import a2b_base64, b2a_base64
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, Final

import jwt
import orjson
from jwt.algorithms import HMACAlgorithm

from gateway.auth.errors import INVALID, AuthError


class _Hmac(HMACAlgorithm):
    """HMAC under a key of any length: a short one is for the start of the node to tell, not for every request."""

    def __init__(self, hash_alg: Any) -> None:
        super().__init__(hash_alg)
        self._keyed = lru_cache(maxsize=8)(partial(hmac.new, digestmod=hash_alg().name))
        # Whether a key looks like a public one is looked at once, and not for every token.
        self.prepare_key = lru_cache(maxsize=8)(super().prepare_key)  # type: ignore[method-assign]

    def check_key_length(self, key: bytes) -> None:
        return None

    def sign(self, msg: bytes, key: bytes) -> bytes:
        # A key is hashed once, and what comes of that is copied.
        signing = self._keyed(key).copy()
        signing.update(msg)
        return signing.digest()


_FROM_URL: Final = bytes.maketrans(b"-_", b"+/")
_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
_JWS: Final = jwt.PyJWS()
for _name, _hash in (("HS256", HMACAlgorithm.SHA256), ("HS384", HMACAlgorithm.SHA384), ("HS512", HMACAlgorithm.SHA512)):
    _JWS.unregister_algorithm(_name)
    _JWS.register_algorithm(_name, _Hmac(_hash))
# The parts of a token are hostile bytes: deep nesting ends in RecursionError, odd types in TypeError.
_REFUSALS: Final = (jwt.PyJWTError, ValueError, TypeError, KeyError, RecursionError)


def read_header(token: str, algorithms: Sequence[str]) -> dict[str, Any]:
    """The header, not verified: only to choose a key. Refuses what could not be accepted under any key."""
    try:
        header = _header(token.partition(".")[0])
        critical = "crit" in header or header.get("b64") is False  # RFC 7797: without crit it is malformed
        algorithm = header.get("alg")
    except _REFUSALS:
        raise AuthError(INVALID, "The token is not a JWT that can be read.") from None
    if critical:
        raise AuthError(INVALID, "The token demands an extension (crit) that the gateway does not know.")
    if algorithm not in algorithms:
        raise AuthError(INVALID, f"The token's algorithm is not accepted here; use {' or '.join(algorithms)}.")
    return header


@lru_cache(maxsize=64)
def _header(segment: str) -> dict[str, Any]:
    """Most tokens have the same header; PyJWT reads a whole token for it."""
    return _JWS.get_unverified_header(f"{segment}..")


def verified_claims(token: str, key: Any, algorithm: str) -> dict[str, Any]:
    """The payload of a token whose signature is good under this key and this one algorithm."""
    read_header(token, [algorithm])
    signed_part, _, signature = token.rpartition(".")
    method = _JWS.get_algorithm_by_name(algorithm)
    try:
        good = method.verify(signed_part.encode(), method.prepare_key(key), _decoded(signature))
    except _REFUSALS:
        good = False
    if not good:
        raise AuthError(INVALID, "The token's signature is not good.")
    try:
        claims = orjson.loads(_decoded(signed_part.partition(".")[2]))
    except ValueError:
        claims = None
    if not isinstance(claims, dict):
        raise AuthError(INVALID, "The token's payload is not a JSON object.")
    return claims


def _decoded(segment: str) -> bytes:
    """The bytes of a token's part, spelled as they are spelled, and filled up with ``=`` or not. PyJWT looks at each
    character for that, which takes longer than the signature. Raises ``ValueError``."""
    text = segment.rstrip("=").encode()
    filled = len(segment) - len(text)
    if filled and (filled > 2 or len(segment) % 4):
        raise ValueError("filled up wrongly")
    found = a2b_base64(text.translate(_FROM_URL) + b"=" * (-len(text) % 4))
    if b2a_base64(found, newline=False).rstrip(b"=").translate(_TO_URL) != text:
        raise ValueError("not base64url")
    return found


def signed(claims: dict[str, Any], key: str, typ: str, algorithm: str = "HS256") -> str:
    """A token of one's own, signed with a shared secret."""
    payload = json.dumps(claims, separators=(",", ":")).encode()
    return _JWS.encode(payload, key, algorithm=algorithm, headers={"typ": typ})

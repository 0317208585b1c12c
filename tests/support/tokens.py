"""Key pairs and tokens for tests, made with PyJWT: what an identity provider would hand out."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

SECRET = "a-shared-secret-of-the-tests-0123456789"


@dataclass(frozen=True)
class KeyPair:
    """A private key and its public half as PEM text."""

    algorithm: str
    private: str
    public: str

    def jwk(self, kid: str) -> dict[str, Any]:
        """The public key as an entry of a key set."""
        algorithm = jwt.get_algorithm_by_name(self.algorithm)
        entry: Any = algorithm.to_jwk(algorithm.prepare_key(self.public), as_dict=True)
        return {**entry, "kid": kid, "alg": self.algorithm, "use": "sig"}


@cache
def key_pair(algorithm: str = "RS256", number: int = 0) -> KeyPair:
    """A key pair for RS*, PS*, ES* or EdDSA; another ``number`` gives another pair. Made once per test run."""
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
    if algorithm.startswith(("RS", "PS")):
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    elif algorithm.startswith("ES"):
        curves: dict[str, ec.EllipticCurve] = {
            "ES256": ec.SECP256R1(),
            "ES384": ec.SECP384R1(),
            "ES512": ec.SECP521R1(),
        }
        private = ec.generate_private_key(curves[algorithm])
    else:
        private = ed25519.Ed25519PrivateKey.generate()
    return KeyPair(
        algorithm,
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
        private.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode(),
    )


def token(
    sub: str | None = "user-1",
    *,
    key: str | KeyPair = SECRET,
    algorithm: str = "HS256",
    ttl_s: float | None = 600,
    scope: str | None = None,
    channels: list[str] | None = None,
    headers: Mapping[str, Any] | None = None,
    **claims: Any,
) -> str:
    """A signed token. ``ttl_s=None`` leaves ``exp`` out; further claims go in as they are, also wrong ones."""
    now = time.time()
    payload: dict[str, Any] = {"iat": int(now)}
    if sub is not None:
        payload["sub"] = sub
    if ttl_s is not None:
        payload["exp"] = int(now + ttl_s)
    if scope is not None:
        payload["scope"] = scope
    if channels is not None:
        payload["channels"] = channels
    payload.update(claims)
    if isinstance(key, KeyPair):
        algorithm, signing = key.algorithm, key.private
    else:
        signing = key
    return raw_token(payload, signing, {"alg": algorithm, "typ": "JWT", **(headers or {})})


def raw_token(payload: object, key: str, header: Mapping[str, Any]) -> str:
    """Sign any payload under any header, also ones that PyJWT's own encoder would refuse to make.

    Raises ``RuntimeError`` while tests are collected: what is made at import has grown old when its test runs.
    """
    if "pytest" in sys.modules and "PYTEST_CURRENT_TEST" not in os.environ:
        raise RuntimeError("A token of the tests is good for some minutes: make it where it is used, not at import.")
    signed = b".".join(jwt.utils.base64url_encode(json.dumps(part).encode()) for part in (dict(header), payload))
    signature = b"" if header["alg"] == "none" else _sign(signed, key, header["alg"])
    return f"{signed.decode()}.{jwt.utils.base64url_encode(signature).decode()}"


def _sign(signed: bytes, key: str, algorithm: str) -> bytes:
    signer = jwt.get_algorithm_by_name(algorithm)
    return signer.sign(signed, _prepared(key, algorithm))


@cache
def _prepared(key: str, algorithm: str) -> Any:
    """The key as its algorithm takes it, read once: an RSA key is checked for 70 ms when it is read."""
    return jwt.get_algorithm_by_name(algorithm).prepare_key(key)

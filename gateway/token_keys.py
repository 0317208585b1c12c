"""What kind of key a text is, and whether it fits the allowed algorithms. No key is ever repeated in an error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.setting_values import SYMMETRIC

LEAST_SECRET_BYTES: Final = 32
"""Below this a shared secret is weak for HS256 (RFC 7518, 3.2): accepted, but ``doctor`` says so."""

_LOOKS_PUBLIC: Final = ("-----BEGIN", "ssh-", "ecdsa-", "{")


def looks_like_public_key(key: str) -> bool:
    """Whether this is a PEM, an SSH key or a key set: nothing that may serve as a shared secret."""
    return key.lstrip().startswith(_LOOKS_PUBLIC)


def key_problem(key: str, algorithms: Sequence[str]) -> str | None:
    """Why this key cannot verify tokens of these algorithms, as a sentence; None where it can."""
    symmetric = [name for name in algorithms if name in SYMMETRIC]
    if symmetric and looks_like_public_key(key):
        return (
            f"GATEWAY_JWT_ALGORITHMS allows {', '.join(symmetric)}, but the key is a public key, which everybody "
            "knows: name the algorithm that goes with it instead, such as RS256, ES256 or EdDSA."
        )
    if symmetric:
        return None
    if not key.lstrip().startswith("-----BEGIN"):
        return (
            f"GATEWAY_JWT_ALGORITHMS allows {', '.join(algorithms)}, which need a PEM public key, but the key is a "
            "plain secret: give the public key, or set GATEWAY_JWT_ALGORITHMS=HS256."
        )
    if "PRIVATE KEY" in key:
        return "The token key is a private key; the gateway needs (and should know) only the public one."
    return _pem_problem(key, algorithms)


def _pem_problem(key: str, algorithms: Sequence[str]) -> str | None:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        public = load_pem_public_key(key.encode())
    except (ValueError, UnsupportedAlgorithm):
        return (
            "The token key is not a PEM public key that can be read; it must begin with -----BEGIN PUBLIC KEY----- "
            "(from a certificate: openssl x509 -pubkey -noout)."
        )
    fitting: tuple[str, ...]
    if isinstance(public, rsa.RSAPublicKey):
        if public.key_size < 2048:
            return f"The token key is an RSA key of {public.key_size} bits; use one of at least 2048."
        fitting = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
    elif isinstance(public, ec.EllipticCurvePublicKey):
        curves = {"secp256r1": ("ES256",), "secp384r1": ("ES384",), "secp521r1": ("ES512",)}
        fitting = curves.get(public.curve.name, ())
    elif isinstance(public, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        fitting = ("EdDSA",)
    else:
        fitting = ()
    if not fitting:
        return "The token key is of a kind that no supported algorithm uses; use RSA, P-256, P-384, P-521 or Ed25519."
    wrong = [name for name in algorithms if name not in fitting]
    if wrong:
        return (
            f"The token key cannot verify {', '.join(wrong)}: with this key GATEWAY_JWT_ALGORITHMS may hold "
            f"{', '.join(fitting)}."
        )
    return None

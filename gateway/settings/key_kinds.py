"""What kind of key a text is, and whether it fits the allowed algorithms. No key is ever repeated in an error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from gateway.settings.values import SYMMETRIC

LEAST_SECRET_BYTES: Final = 32
"""Below this a shared secret is too weak for HS256 (RFC 7518, 3.2)."""
LEAST_RSA_BITS: Final = 2048
MAKE_SECRET: Final = "Make one: python -c 'import secrets; print(secrets.token_urlsafe(48))'"

TOKEN_KEY: Final = "GATEWAY_JWT_KEY or its file"
ALLOWED_BY: Final = {TOKEN_KEY: "GATEWAY_JWT_ALGORITHMS"}
"""Which setting names the algorithms that go with a key; else it is the key's own."""

_LOOKS_PUBLIC: Final = ("-----BEGIN", "ssh-", "ecdsa-", "{")


def looks_like_public_key(key: str) -> bool:
    """Whether this is a PEM, an SSH key or a key set: nothing that may serve as a shared secret."""
    return key.lstrip().startswith(_LOOKS_PUBLIC)


def key_problem(key: str, algorithms: Sequence[str], name: str = TOKEN_KEY) -> str | None:
    """Why this key cannot verify tokens of these algorithms, as a sentence; None where it can. ``name`` is the
    setting's."""
    allowed = ALLOWED_BY.get(name) or name.removesuffix("_KEY") + "_ALG"
    symmetric = [name for name in algorithms if name in SYMMETRIC]
    if symmetric and looks_like_public_key(key):
        return (
            f"{allowed} allows {', '.join(symmetric)}, but the key is a public key, which everybody "
            "knows: name the algorithm that goes with it instead, such as RS256, ES256 or EdDSA."
        )
    if symmetric:
        return None
    if not key.lstrip().startswith("-----BEGIN"):
        return (
            f"{allowed} allows {', '.join(algorithms)}, which need a PEM public key, but the key is a "
            f"plain secret: give the public key, or set {allowed}=HS256."
        )
    if "PRIVATE KEY" in key:
        return "The token key is a private key; the gateway needs (and should know) only the public one."
    return _pem_problem(key, algorithms, allowed)


def secret_problem(key: str | None, algorithms: Sequence[str], name: str = TOKEN_KEY) -> str | None:
    """Why this shared secret is too weak, as a sentence; None where it is not, or where there is none."""
    if key is None or not set(algorithms) & set(SYMMETRIC) or len(key.encode()) >= LEAST_SECRET_BYTES:
        return None
    return (
        f"The shared secret ({name}) is shorter than {LEAST_SECRET_BYTES} bytes: whoever has one "
        f"token can try to guess it, and then be anybody. {MAKE_SECRET}, and give it to the issuer of tokens too."
    )


def load_key(key: str) -> Any:
    """The key in the form that verifies fastest: a public key object for a (checked) PEM, the secret as it is."""
    if not looks_like_public_key(key):
        return key
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    return load_pem_public_key(key.encode())


def fitting_algorithms(public: object) -> tuple[str, ...]:
    """The algorithms that a public key can verify; none for a kind or curve that is not supported, or a weak key."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(public, rsa.RSAPublicKey):
        strong = public.key_size >= LEAST_RSA_BITS
        return ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512") if strong else ()
    if isinstance(public, ec.EllipticCurvePublicKey):
        curves = {"secp256r1": ("ES256",), "secp384r1": ("ES384",), "secp521r1": ("ES512",)}
        return curves.get(public.curve.name, ())
    return ("EdDSA",) if isinstance(public, ed25519.Ed25519PublicKey) else ()


def _pem_problem(key: str, algorithms: Sequence[str], allowed: str) -> str | None:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        fitting = fitting_algorithms(load_pem_public_key(key.encode()))
    except (ValueError, UnsupportedAlgorithm):
        return (
            "The token key is not a PEM public key that can be read; it must begin with -----BEGIN PUBLIC KEY----- "
            "(from a certificate: openssl x509 -pubkey -noout)."
        )
    if not fitting:
        return (
            f"The token key is of a kind that is not supported; use RSA of at least {LEAST_RSA_BITS} bits, P-256, "
            "P-384, P-521 or Ed25519."
        )
    wrong = [name for name in algorithms if name not in fitting]
    if wrong:
        return f"The token key cannot verify {', '.join(wrong)}: with this key {allowed} may hold {', '.join(fitting)}."
    return None

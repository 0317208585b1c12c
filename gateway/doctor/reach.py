"""Why Redis cannot be talked to. Pure: an exception becomes a finding, which holds no secret."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Final

from redis import exceptions

from gateway.doctor.finding import Finding, problem
from publisher.redis.address import Address

CHECK: Final = "redis"
_URL: Final = "GATEWAY_REDIS_URL"


def why(error: BaseException, address: Address) -> Finding:
    """Say what went wrong with this address, from the deepest cause that is known."""
    causes = list(_causes(error))
    for known, say in _KNOWN:
        for cause in causes:
            if isinstance(cause, known):
                text, remedy = say(cause, address)
                return problem(CHECK, f"{address.where}: {text}", remedy)
    for cause in causes:
        for part, text, remedy in _WORDS:
            if part in str(cause).lower():
                return problem(CHECK, f"{address.where}: {text}", remedy)
    refusal = next((each for each in causes if isinstance(each, exceptions.ResponseError)), None)
    if refusal is not None:
        return problem(CHECK, f"{address.where}: {str(refusal)[:200]}", "Do what it says, and see the server's log.")
    reason = next((each.strerror for each in causes if isinstance(each, OSError) and each.strerror), None)
    said = reason or (str(error)[:200] if isinstance(error, exceptions.ConnectionError) else "") or type(error).__name__
    return problem(CHECK, f"{address.where}: {said}", f"Check {_URL}, and that the server runs.")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Deepest first."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return reversed(chain)


def _login(error: BaseException, address: Address) -> tuple[str, str]:
    if "required" in str(error) or "NOAUTH" in str(error):
        return (
            "it wants a password, and the address has none",
            f"Put it into {_URL}: redis://USER:PASSWORD@HOST:PORT/0.",
        )
    return (
        "it refuses user name or password",
        f"Correct them in {_URL}; in a password @ : / are written %40 %3A %2F. See ACL LIST of the server.",
    )


def _name(error: BaseException, address: Address) -> tuple[str, str]:
    return "the host name is not known here", f"Correct it in {_URL}, or the machine's name service."


def _untrusted(error: BaseException, address: Address) -> tuple[str, str]:
    reason = getattr(error, "verify_message", "") or "not trusted"
    return (
        f"its certificate is refused: {reason}",
        f"Add ?ssl_ca_certs=/path/of/ca.pem to {_URL}, and use the host name that the certificate is for.",
    )


def _no_tls(error: BaseException, address: Address) -> tuple[str, str]:
    reason = str(getattr(error, "reason", "") or "no TLS").replace("_", " ").lower()
    return (
        f"the TLS handshake failed ({reason})",
        f"If the server speaks no TLS, write {address.scheme.replace('rediss', 'redis')}://.",
    )


def _silent(error: BaseException, address: Address) -> tuple[str, str]:
    tls = " (or it speaks no TLS: then redis:// is right)" if address.tls else ""
    return (
        f"no answer in time{tls}",
        "Check host and port, firewalls and security groups, and whether the server hangs.",
    )


def _refused(error: BaseException, address: Address) -> tuple[str, str]:
    return "nothing listens there (connection refused)", f"Start the server, or correct host and port in {_URL}."


def _no_socket(error: BaseException, address: Address) -> tuple[str, str]:
    return "there is no such socket", f"Set unixsocket in the server's configuration, or correct the path in {_URL}."


def _no_redis(error: BaseException, address: Address) -> tuple[str, str]:
    return "what answers there does not speak Redis's protocol", f"Correct the port in {_URL}."


def _loading(error: BaseException, address: Address) -> tuple[str, str]:
    return "it is loading its data after a start", "Try again in a moment."


def _no_master(error: BaseException, address: Address) -> tuple[str, str]:
    return (
        f"no Sentinel knows a working master of the service {address.service}",
        f"Check the service's name in {_URL}, the Sentinels' addresses, and SENTINEL MASTERS on one of them.",
    )


_Say = Callable[[BaseException, Address], tuple[str, str]]
_KNOWN: Final[tuple[tuple[type[BaseException], _Say], ...]] = (
    (exceptions.AuthenticationError, _login),
    (exceptions.BusyLoadingError, _loading),
    (exceptions.InvalidResponse, _no_redis),
    (socket.gaierror, _name),
    (ssl.SSLCertVerificationError, _untrusted),
    (ssl.SSLError, _no_tls),
    (ConnectionRefusedError, _refused),
    (FileNotFoundError, _no_socket),
    (TimeoutError, _silent),
    (exceptions.TimeoutError, _silent),
)
_WORDS: Final = (
    (
        "cluster support disabled",
        "it is a single server, and the address names a Cluster",
        f"Set {_URL}=redis://HOST:PORT/0.",
    ),
    (
        "max number of clients",
        "it has no place for another connection",
        "Raise maxclients, and look for who holds so many (CLIENT LIST).",
    ),
    ("db index", "it has no such database", f"Use another number at the end of {_URL}; 0 is always there."),
    (
        "protected mode",
        "it is in protected mode, which answers its own machine only",
        "Set a password and protected-mode no, or bind it to an inner address.",
    ),
    (
        "connection closed",
        "it closed the connection",
        f"If it speaks TLS, write rediss:// in {_URL}; else see the server's log.",
    ),
)


def no_master(address: Address) -> Finding:
    """Sentinels answer, or not, but name no master."""
    text, remedy = _no_master(exceptions.ConnectionError(), address)
    return problem(CHECK, f"{address.where}: {text}", remedy)

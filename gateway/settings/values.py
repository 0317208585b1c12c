"""How the text of an environment variable becomes a value: one small parser per kind of setting.

Each raises ``ValueError`` with the end of a sentence that begins with the setting's name ("must be …"); none repeats
the text it was given, because that may be a secret.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Final
from urllib.parse import SplitResult, urlsplit

from publisher.channels import check_prefix
from publisher.redis.address import SCHEMES as REDIS_SCHEMES
from publisher.redis.address import parse as parse_redis_url

SYMMETRIC: Final = ("HS256", "HS384", "HS512")
ASYMMETRIC: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_HOST = re.compile(r"[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]")
_ROOT_PATH = re.compile(r"(/[A-Za-z0-9._~-]{1,64}){0,8}")
_MEMBER = re.compile(r"(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


def text(value: str) -> str:
    if not value.isprintable() or len(value) > 1000:
        raise ValueError("must be at most 1000 printable characters")
    return value


def secret(value: str) -> str:
    """A key as it stands; a PEM may have its line breaks written as ``\\n``, as one-line env files need it."""
    if "-----BEGIN" in value and "\\n" in value:
        return value.replace("\\n", "\n")
    return value


def bearer(least: int) -> Callable[[str], str]:
    """A secret that travels in a header: printable ASCII without blanks, at least ``least`` characters."""

    def parse(value: str) -> str:
        if not re.fullmatch(r"[!-~]+", value) or len(value) < least:
            raise ValueError(
                f"must be at least {least} printable ASCII characters without blanks; "
                "make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
            )
        return value

    return parse


def boolean(value: str) -> bool:
    known = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    if value.lower() not in known:
        raise ValueError("must be true or false")
    return known[value.lower()]


def integer(low: int, high: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,15}", value) or not low <= int(value) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(value)

    return parse


def seconds(low: float, high: float) -> Callable[[str], float]:
    def parse(value: str) -> float:
        if not re.fullmatch(r"[0-9]{1,9}(?:\.[0-9]{1,6})?", value) or not low <= float(value) <= high:
            raise ValueError(f"must be a number of seconds from {low:g} to {high:g}")
        return float(value)

    return parse


def milliseconds_range(value: str) -> tuple[int, int]:
    """``1000-5000``, or one number for both ends."""
    found = re.fullmatch(r"([0-9]{1,6})(?:-([0-9]{1,6}))?", value)
    low, high = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= low <= high <= 600_000:
        raise ValueError("must be a range of milliseconds such as 1000-5000, or one number, from 1 to 600000")
    return low, high


def choice(*allowed: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value.lower() not in allowed:
            raise ValueError(f"must be {' or '.join(allowed)}")
        return value.lower()

    return parse


def algorithms(value: str) -> tuple[str, ...]:
    known = {name.lower(): name for name in (*SYMMETRIC, *ASYMMETRIC)}
    names = [part.strip().lower() for part in value.split(",") if part.strip()]
    if not names or not all(name in known for name in names):
        raise ValueError(f"must be a comma list of {', '.join(known.values())}")
    return tuple(dict.fromkeys(known[name] for name in names))


def algorithm(value: str) -> str:
    names = algorithms(value)
    if len(names) != 1:
        raise ValueError(f"must be one of {', '.join((*SYMMETRIC, *ASYMMETRIC))}")
    return names[0]


def cookie_name(value: str) -> str:
    if not _TOKEN.fullmatch(value):
        raise ValueError("must be a cookie name: 1 to 64 characters without blanks and separators, such as sse_token")
    return value


def origin(value: str) -> str:
    """An origin as browsers send it: lower case, without the scheme's own port. Raises ``ValueError``."""
    parts = _split(value)
    if parts is None or parts.scheme not in _DEFAULT_PORTS or parts.path or parts.query or parts.fragment:
        raise ValueError("must name origins as scheme://host[:port], such as https://app.example.com")
    if parts.username is not None or not _HOST.fullmatch(_host(parts)):
        raise ValueError("must name origins as scheme://host[:port], without user names or wildcards")
    port = "" if parts.port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{_host(parts)}{port}"


def origins(value: str) -> tuple[str, ...]:
    parts = [part.strip() for part in value.split(",") if part.strip()]
    if "*" in parts:
        raise ValueError("must not be *, because browsers refuse it together with credentials; list the origins")
    return tuple(dict.fromkeys(origin(part) for part in parts))


def root_path(value: str) -> str:
    """``/a[/b]…``; a slash at its end is ignored, so that ``/`` is no path at all. Raises ``ValueError``."""
    path = value.removesuffix("/")
    if not _ROOT_PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise ValueError("must be a path such as /sse or /apps/sse, of letters, digits and . _ ~ -")
    return path


def hosts(value: str) -> tuple[str, ...]:
    """Names as they stand in ``Host``, with or without a port; ``*.`` in front stands for all names below."""
    parts = [part.strip().lower() for part in value.split(",") if part.strip()]
    for part in parts:
        if not _MEMBER.fullmatch(part.removeprefix("*.")) or part.startswith("*.["):
            raise ValueError("must be a comma list of host names such as app.example.com, [::1]:8000 or *.example.com")
    return tuple(dict.fromkeys(parts))


def proxies(value: str) -> tuple[str, ...]:
    """Addresses and networks, ``*`` for everybody, ``none`` for nobody."""
    parts = [part.strip() for part in value.split(",") if part.strip()]
    if parts == ["none"]:
        return ()
    for part in parts:
        if part != "*" and not _is_network(part):
            raise ValueError("must be a comma list of IP addresses and networks such as 10.0.0.0/8, or *, or none")
    return tuple(dict.fromkeys(parts))


def web_url(value: str) -> str:
    parts = _split(value)
    if parts is None or parts.scheme not in _DEFAULT_PORTS or not parts.hostname or parts.username is not None:
        raise ValueError("must be an http:// or https:// URL without a user name")
    return value


def redis_prefix(value: str) -> str:
    try:
        return check_prefix(value)
    except ValueError:
        raise ValueError("must have 1 to 100 characters of A-Z a-z 0-9 _ . : -") from None


def redis_url(value: str) -> str:
    """A broker's address in one of the five forms. The address may hold a password: the errors do not repeat it."""
    forms = (
        "redis://host:port/db, rediss://host:port/db, unix:///path, redis+sentinel://host:port,host:port/service/db "
        "or redis+cluster://host:port,host:port; with TLS rediss…"
    )
    scheme, separator, rest = value.partition("://")
    members, _, path = rest.partition("?")[0].rpartition("@")[2].partition("/")
    if not separator or scheme not in REDIS_SCHEMES or not value.isprintable():
        raise ValueError(f"must be {forms}")
    if scheme == "unix":
        good = bool(path)
    elif scheme in ("redis", "rediss"):
        good = bool(_MEMBER.fullmatch(members)) and (not path or path.isdigit())
    else:
        good = all(_MEMBER.fullmatch(member) for member in members.split(","))
        if scheme.endswith("+sentinel"):
            good = good and bool(re.fullmatch(r"[^/\s]+(?:/[0-9]*)?", path))
    if not good:
        raise ValueError(f"is not a complete address; it must be {forms}")
    try:
        address = parse_redis_url(value)
        if "?" in value:
            from publisher.redis.connect import check_options  # redis-py takes long to import

            check_options(address)
    except ValueError:  # its sentence may name an option, and that may be the rest of a password
        raise ValueError(f"has an option that is not known, or a bad value; it must be {forms}") from None
    return value


def _split(value: str) -> SplitResult | None:
    try:
        parts = urlsplit(value)
        _ = parts.port, parts.hostname  # both are read lazily, and raise for nonsense
    except ValueError:
        return None
    return parts if value.isprintable() and not value.endswith(("?", "#")) else None


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    return f"[{host}]" if ":" in host else host


def _is_network(value: str) -> bool:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return False
    return True

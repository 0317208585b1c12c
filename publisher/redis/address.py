"""Redis URLs, read: what to connect to, with the password kept out of everything that may be printed. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote

from publisher import channels

PLAIN_SCHEMES: Final = ("redis", "rediss", "unix")
SCHEMES: Final = (*PLAIN_SCHEMES, "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")
_FORMS: Final = (
    "redis://host:port/db, rediss://host:port/db, unix:///path/to.sock, "
    "redis+sentinel://host:port,host:port/service/db or redis+cluster://host:port,host:port"
)
_OURS: Final = frozenset({"decode_responses", "encoding", "encoding_errors", "protocol"})
"""Options for whoever shares the URL: here replies are bytes and words are UTF-8, whatever it says."""
_SENTINEL_OPTIONS: Final = ("sentinel_username", "sentinel_password")
_TLS_TEXTS: Final = ("ssl_ca_certs", "ssl_ca_data", "ssl_cert_reqs", "ssl_certfile", "ssl_keyfile")
_TLS_FLAGS: Final = ("ssl_check_hostname",)
"""What redis-py reads from a rediss:// URL by itself, for the two forms that it does not know: what all of its clients
take."""
_YES: Final = ("true", "True", "1", "yes")
_NO: Final = ("false", "False", "0", "no")


@dataclass(frozen=True, slots=True)
class Address:
    """A Redis URL taken apart. ``url`` is the whole of it; print ``where`` instead."""

    scheme: str
    hosts: tuple[tuple[str, int], ...]
    where: str
    service: str = ""
    db: int = 0
    url: str = field(default="", repr=False)
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    options: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def cluster(self) -> bool:
        return self.scheme.endswith("+cluster")

    @property
    def sentinel(self) -> bool:
        return self.scheme.endswith("+sentinel")

    @property
    def tls(self) -> bool:
        return self.scheme.startswith("rediss")

    @property
    def tls_options(self) -> dict[str, str | bool]:
        """How a certificate is checked and one's own is shown, as redis-py takes it."""
        texts: dict[str, str | bool] = {name: self.options[name] for name in _TLS_TEXTS if name in self.options}
        return texts | {name: self.options[name] in _YES for name in _TLS_FLAGS if name in self.options}


def parse(url: object) -> Address:
    """Take a Redis URL apart. Raises ``ValueError`` that shows the legal forms and never the URL itself."""
    if not isinstance(url, str):
        raise ValueError(f"A Redis URL must be text, not {type(url).__name__}: {_FORMS}.")
    url = channels.plain(url)
    scheme, found, rest = url.partition("://")
    if not found or scheme not in SCHEMES:
        raise ValueError(f"A Redis URL has one of these forms: {_FORMS}.")
    rest, _, query = rest.partition("?")
    if scheme == "unix":
        path = rest.rpartition("@")[2]
        if not path.startswith("/"):
            raise ValueError("A unix:// URL needs an absolute path: unix:///path/to.sock.")
        return Address(scheme, (), f"unix://{path}", url=_without_ours(url))
    netloc, _, path = rest.partition("/")
    user, _, places = netloc.rpartition("@")
    username, password = _user(user)
    hosts = _hosts(places, 26379 if scheme.endswith("+sentinel") else 6379)
    where = ",".join(f"{host}:{port}" for host, port in hosts)
    if scheme in PLAIN_SCHEMES:
        if len(hosts) > 1:
            raise ValueError("A redis:// URL names one host; for several use redis+sentinel:// or redis+cluster://.")
        _database(path)
        return Address(scheme, hosts, where, url=_without_ours(url))
    service, _, db = path.partition("/")
    if scheme.endswith("+cluster"):
        if path.strip("/"):
            raise ValueError("A redis+cluster:// URL has no path: Redis Cluster has one database only.")
        return Address(scheme, hosts, where, "", 0, url, username, password, _options(scheme, query, ()))
    if not service:
        raise ValueError("A redis+sentinel:// URL names the service: redis+sentinel://host:port,host:port/service/db.")
    options = _options(scheme, query, _SENTINEL_OPTIONS)
    return Address(
        scheme, hosts, f"{service} at {where}", unquote(service), _database(db), url, username, password, options
    )


def _without_ours(url: str) -> str:
    start, _, query = url.partition("?")
    kept = [option for option in query.split("&") if unquote(option.partition("=")[0]) not in _OURS]
    return f"{start}?{'&'.join(kept)}" if any(kept) else start


def _user(part: str) -> tuple[str | None, str | None]:
    name, _, password = part.partition(":")
    return unquote(name) or None, unquote(password) or None


def _hosts(places: str, default_port: int) -> tuple[tuple[str, int], ...]:
    return tuple(_host(place, default_port) for place in places.split(","))


def _host(place: str, default_port: int) -> tuple[str, int]:
    host, bracket, rest = place.partition("]")
    if bracket:
        host, port = host.removeprefix("["), rest.removeprefix(":")
    else:
        host, _, port = place.partition(":")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        # Whatever stands where a port should be may be the rest of a password with an unescaped @ or /.
        raise ValueError("A port in the Redis URL is not a number from 1 to 65535; write @ : / in a password as %40 …")
    return host or "localhost", int(port or default_port)


def _database(path: str) -> int:
    if path and not (path.isascii() and path.isdigit() and len(path) < 6):
        raise ValueError("The database at the end of the Redis URL must be a number: redis://host:port/0.")
    return int(path or 0)


def _options(scheme: str, query: str, known: tuple[str, ...]) -> dict[str, str]:
    options = {name: value for name, value in parse_qsl(query) if name not in _OURS}
    if scheme.startswith("rediss"):
        known = (*known, *_TLS_TEXTS, *_TLS_FLAGS)
    bad = [name for name in _TLS_FLAGS if options.get(name, "true") not in (*_YES, *_NO)]
    if bad:
        raise ValueError(f"{bad[0]} in the Redis URL must be true or false.")
    if options.get("ssl_cert_reqs", "none") not in ("none", "optional", "required"):
        raise ValueError("ssl_cert_reqs in the Redis URL must be none, optional or required.")
    unknown = sorted(set(options) - set(known))
    if unknown:
        legal = f"; known are {', '.join(known)}" if known else ""
        raise ValueError(f"The Redis URL has unknown options: {', '.join(unknown)}{legal}.")
    return options

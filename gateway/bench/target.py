"""Where a load test goes: an address that is this machine's own, unless the user says that it may be another."""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from publisher.redis.address import Address

REACH_S: Final = 5.0


class NotAllowed(Exception):
    """The load test may not, or cannot, go there; the sentence says what to do."""


@dataclass(frozen=True, slots=True)
class Target:
    """A node's base URL, looked up once."""

    url: str
    host: str
    address: str
    port: int
    path: str
    """In front of ``/v1/…``; without a slash at the end."""
    tls: ssl.SSLContext | None

    @property
    def authority(self) -> str:
        """What ``Host`` says."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def request(self, method: str, path: str, headers: dict[str, str]) -> bytes:
        """The head of an HTTP/1.1 request."""
        lines = [f"{method} {self.path}{path} HTTP/1.1", f"Host: {self.authority}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


def look_up(url: str, *, remote: bool) -> Target:
    """The target of a base URL that has been checked for form. Raises :class:`NotAllowed`."""
    parts = urlsplit(url)
    host, tls = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if tls else 80)
    address = _address(host, port, remote)
    return Target(url.rstrip("/"), host, address, port, parts.path.rstrip("/"), _context() if tls else None)


def check_reachable(target: Target) -> None:
    """Raise :class:`NotAllowed` where nobody takes connections."""
    try:
        socket.create_connection((target.address, target.port), timeout=REACH_S).close()
    except OSError as error:
        # Not its text: each platform words it differently.
        reason = os.strerror(error.errno).lower() if error.errno else "nothing answered in time"
        raise NotAllowed(f"{target.url} cannot be reached ({reason}); is the node up?") from None


def check_broker(place: Address, *, remote: bool) -> None:
    """Raise :class:`NotAllowed` where Redis is on another machine: each event costs it something, too."""
    for host, port in place.hosts:
        _address(host, port, remote)


def _address(host: str, port: int, remote: bool) -> str:
    try:
        found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError):
        raise NotAllowed(f"The host {host} is not known here; check the address.") from None
    if not remote and not all(ipaddress.ip_address(each.partition("%")[0]).is_loopback for each in found):
        raise NotAllowed(
            f"{host} is not this machine. A load test can take a service down: point it only at what is yours, "
            "and confirm that with --remote."
        )
    return found[0]


def _context() -> ssl.SSLContext:
    return ssl.create_default_context()

"""Whose an address is: which ones belong to one caller, and which ones to the node's own proxies. Pure."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable
from typing import Final

IPV6_BITS: Final = 64
"""What a single subscriber gets, and can take any address from."""
MAX_ADDRESS: Final = 64
"""Characters; no address has more."""


def plain(host: str) -> str:
    """An address without the form that an IPv4 one has on an IPv6 socket: ``::ffff:127.0.0.1`` is ``127.0.0.1``."""
    if not host.lower().startswith("::ffff:"):
        return host
    try:
        mapped = ipaddress.IPv6Address(host).ipv4_mapped
    except ValueError:
        return host
    return host if mapped is None else str(mapped)


def caller_of(host: str) -> str:
    """Who counts as one caller with this address: itself, or the /64 network of an IPv6 one."""
    if ":" not in host:
        return host
    try:
        address = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((address, IPV6_BITS), strict=False))


class TrustedProxies:
    """The addresses and networks of ``GATEWAY_TRUSTED_PROXIES``; ``*`` is everybody."""

    def __init__(self, listed: Iterable[str]) -> None:
        listed = tuple(listed)
        self.everybody = "*" in listed
        self._networks = [ipaddress.ip_network(part, strict=False) for part in listed if part != "*"]
        self._known = functools.lru_cache(maxsize=4096)(self._find)

    def __contains__(self, host: str) -> bool:
        return self.everybody or (len(host) <= MAX_ADDRESS and self._known(host))

    def _find(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(plain(host))
        except ValueError:
            return False
        return any(address in network for network in self._networks)

    def client(self, forwarded_for: list[str]) -> int:
        """Which of these addresses is the client's: the last that is no proxy, since each one adds whom it hears; the
        first where all of them are proxies, or everybody is trusted."""
        if not self.everybody:
            for index in range(len(forwarded_for) - 1, -1, -1):
                if forwarded_for[index] not in self:
                    return index
        return 0


def without_port(text: str) -> str:
    """``X-Forwarded-For`` may hold ``1.2.3.4:80`` and ``[::1]:80``."""
    text = text.strip()
    if text.startswith("["):
        return plain(text[1:].partition("]")[0])
    return text.partition(":")[0] if text.count(":") == 1 else plain(text)

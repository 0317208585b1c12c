"""Listening sockets: on which address, and several that share one."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
from typing import Final

SHARES_EVENLY: Final = sys.platform == "linux"
"""Elsewhere SO_REUSEPORT is missing, or means that the newest socket gets everything."""


class CannotBind(Exception):
    """The address cannot be listened on; the sentence says why."""


def bind(host: str, port: int) -> socket.socket:
    """A socket on this address that does not listen yet; port 0 takes a free one. Raises :class:`CannotBind`."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError):
        raise CannotBind(f"The host {host} is not known here; use an address of this machine.") from None
    sock = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # "::" takes IPv4 as well
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise CannotBind(_why(error, host, port)) from None
    sock.set_inheritable(False)
    return sock


def shared(host: str, port: int, count: int) -> list[socket.socket]:
    """Sockets on one address, among which Linux shares out new connections evenly; elsewhere one socket, so often.

    A port that is in use is refused, also where its user would share it. Raises :class:`CannotBind`.
    """
    first = bind(host, port)
    if not SHARES_EVENLY:
        return [first, *(first.dup() for _ in range(count - 1))]
    # Only now: with the option set before, the port of another program that has set it as well would be taken.
    first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sockets = [first]
    try:
        for _ in range(count - 1):
            another = socket.socket(first.family, first.type, first.proto)
            sockets.append(another)
            another.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            another.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if first.family == socket.AF_INET6:
                another.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, _v6_only(first))
            another.bind(first.getsockname())
    except OSError as error:
        for each in sockets:
            each.close()
        raise CannotBind(_why(error, host, first.getsockname()[1])) from None
    return sockets


def _v6_only(sock: socket.socket) -> int:
    return sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


def rest(sock: socket.socket) -> None:
    """Let the others of :func:`shared` have what would come here, until somebody listens here again. Who waits here is
    cut off."""
    if SHARES_EVENLY:
        with contextlib.suppress(OSError):  # nobody listened
            sock.shutdown(socket.SHUT_RD)


def _why(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is in use; stop what listens there, or choose another one with --port."
    if error.errno == errno.EACCES:
        return f"Port {port} is reserved for the administrator; choose one above 1023 with --port."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine; choose another one with --host."
    return f"{host}:{port} cannot be listened on: {error.strerror}."


def url(sock: socket.socket) -> str:
    """The base URL that reaches this socket; for a wildcard address the loopback one."""
    host, port = sock.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

"""Runs one node: from settings to a listening process and its exit code."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
from collections.abc import Callable
from typing import Final

import uvicorn
from starlette.routing import BaseRoute

from gateway import logs
from gateway.app import create_app
from gateway.node import Node
from gateway.protocol import GatewayProtocol
from gateway.server import GatewayServer
from gateway.settings import Settings
from gateway.version import version

log = logging.getLogger("gateway.node")

BACKLOG: Final = 4096
KEEP_ALIVE_S: Final = 75
"""Longer than the idle limit of the usual balancers (60 s): theirs must be the side that closes."""
GRACE_S: Final = 3
"""After the drain only short requests are left."""
SEND_BUFFER: Final = 64 * 1024
"""Without it about 4 MB vanish in kernel buffers before a stalled peer is noticed."""
SPARE_SOCKETS: Final = 1000
"""For short requests and health checks beside the streams."""
ExtraRoutes = Callable[[Node], list[BaseRoute]]


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


def run(
    settings: Settings,
    sock: socket.socket,
    *,
    dev: bool = False,
    extra: ExtraRoutes = lambda node: [],
    started: Callable[[], None] = lambda: None,
) -> int:
    """Serve until a signal, and drain; the exit code. ``started`` is called once it listens.

    Redis may be away: the node starts all the same, and ``/readyz`` says 503 until it is there.
    """
    logs.configure(settings.log_format, settings.log_level)
    process = _Process()
    node = Node(settings, version=version(), dev=dev, on_crash=process.crash)
    base = url(sock)

    def tell_started() -> None:
        log.info("node.started url=%s id=%s version=%s pid=%d", base, node.id, node.version, os.getpid())
        started()

    async def drain() -> None:
        process.loop = asyncio.get_running_loop()
        await node.drain()

    process.server = GatewayServer(
        _config(create_app(node, extra(node)), settings),
        drain=drain,
        hurry=lambda: process.soon(node.hurry),
        started=tell_started,
    )
    _tune(sock, int(settings.write_timeout_s * 1000))
    process.server.run([sock])
    log.info("node.stopped crashed=%s", process.crashed)
    return 1 if process.crashed else 0


def _tune(listener: socket.socket, user_timeout_ms: int) -> None:
    """Options for all connections: an accepted socket has those of its listener."""
    with contextlib.suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for name, value in (
            ("TCP_KEEPIDLE", 30),
            ("TCP_KEEPINTVL", 10),
            ("TCP_KEEPCNT", 3),
            ("TCP_USER_TIMEOUT", user_timeout_ms),
        ):
            option = getattr(socket, name, None)  # not every platform has each of them
            if option is not None:
                listener.setsockopt(socket.IPPROTO_TCP, option, value)


def _config(app: object, settings: Settings) -> uvicorn.Config:
    class Protocol(GatewayProtocol):
        max_sockets = settings.max_connections + SPARE_SOCKETS if settings.max_connections else 0

    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=Protocol,
        loop="asyncio",  # uvloop made new streams dearer and nothing cheaper: docs/explanation/benchmarks.md
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,  # it would print query strings, and with them tickets
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
        backlog=BACKLOG,
    )


class _Process:
    """What a signal, and a background task that died, may do to the server."""

    def __init__(self) -> None:
        self.server: GatewayServer | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.crashed = False

    def crash(self) -> None:
        self.crashed = True
        if self.server is not None:
            self.server.should_exit = True

    def soon(self, action: Callable[[], None]) -> None:
        """Let the loop do it; may be called from a signal handler."""
        if self.loop is not None:
            self.loop.call_soon_threadsafe(action)

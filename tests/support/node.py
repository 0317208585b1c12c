"""A gateway node as a process of its own: started, drained, killed and frozen like in production."""

from __future__ import annotations

import atexit
import contextlib
import http.client
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.ports import HOST, free_port
from tests.support.template import TEMPLATES, USABLE, Fork
from tests.support.tokens import SECRET
from tests.support.waiting import POLL_S

ROOT = Path(__file__).parents[2]
START_S = 60
STOP_S = 120
SIGNALS = 3
"""With the third one a node waits for nothing any more."""
SIGNALS_APART_S = 0.2
STOP_MEASURED_S = 10
MEASURED = "COVERAGE_PROCESS_CONFIG"
"""The variable by which coverage reaches the processes of tests."""
TRIES = 5
SERVE = (sys.executable, "-m", "gateway", "serve")


def children(pid: int) -> list[int]:
    """The processes that this one has started, the oldest first. Linux only."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class NodeError(Exception):
    """The node did not do what the test asked; the sentence holds the end of its log."""


class Node:
    """A node on a free loopback port: a fork of the template, or ``command``, such as :data:`SERVE`.

    ``settings`` are names without ``GATEWAY_``.
    Tokens are verified with :data:`tests.support.tokens.SECRET` unless the settings say otherwise. The port stays the
    same over restarts.
    """

    def __init__(
        self, redis_url: str, prefix: str = "sse", *, command: Sequence[str] | None = None, **settings: object
    ) -> None:
        self.port = 0
        self._command = command
        given = {"REDIS_URL": redis_url, "REDIS_PREFIX": prefix, **settings}
        if not {"JWT_KEY", "JWT_KEY_FILE", "JWKS_URL"} & given.keys():
            given["JWT_KEY"] = SECRET
        self._settings = {f"GATEWAY_{name}": str(value) for name, value in given.items()}
        self._log = tempfile.NamedTemporaryFile(prefix="sse-node-", suffix=".log")  # noqa: SIM115 (closed by close)
        self._process: subprocess.Popen[bytes] | Fork | None = None
        self._measured = False

    @property
    def base(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def log(self) -> str:
        """What it has written to stdout and stderr, over all its starts."""
        return Path(self._log.name).read_text(errors="replace")

    @property
    def pid(self) -> int:
        return self._started().pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for a signal."""
        return self._started().poll()

    def start(self, *, wait_ready: bool = True) -> Self:
        """Start it and return when ``/readyz`` says 200, or at once without ``wait_ready``."""
        fixed = self.port != 0
        for attempt in range(TRIES):
            if not fixed:
                self.port = free_port()
            self._spawn()
            if not wait_ready:
                return self
            try:
                self.wait_ready()
                return self
            except NodeError:
                if fixed or attempt == TRIES - 1 or "in use" not in self.log:
                    raise
        raise AssertionError("unreachable")

    def wait_ready(self, timeout_s: float = START_S) -> None:
        """Return when ``/readyz`` says 200."""
        deadline = time.monotonic() + timeout_s
        while self.readyz() != 200:
            if self.exit_code is not None:
                raise NodeError(f"The node ended with {self.exit_code} while it started: {self.log[-1500:]}")
            if time.monotonic() > deadline:
                raise NodeError(f"The node was not ready within {timeout_s:g} s: {self.log[-1500:]}")
            time.sleep(POLL_S)

    def readyz(self) -> int:
        """The status of ``/readyz``, 0 where nothing answers."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=2)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    def terminate(self) -> None:
        """Ask it to stop (SIGTERM): it drains and ends; see :meth:`wait`."""
        self._started().send_signal(signal.SIGTERM)

    def wait(self, timeout_s: float = STOP_S) -> int:
        """The exit code, as soon as it has ended."""
        try:
            return self._started().wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise NodeError(f"The node did not end within {timeout_s:g} s: {self.log[-1500:]}") from None

    def kill(self) -> None:
        """End it at once, like a crash; also a frozen one."""
        process = self._started()
        process.kill()
        process.wait(STOP_S)

    def freeze(self) -> None:
        """Let it stop answering while its connections stay open; ``thaw()`` ends that."""
        self._started().send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._started().send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it where it still runs, and forget its log. May be called twice.

        It is killed, unless it is measured: only a process that ends by itself saves what it has run.
        """
        if self._process is not None and (not self._measured or not self._has_stopped()):
            self.kill()
        atexit.unregister(self.close)
        self._log.close()

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

    def _started(self) -> subprocess.Popen[bytes] | Fork:
        if self._process is None:
            raise NodeError("The node was not started; call start() first.")
        return self._process

    def _has_stopped(self) -> bool:
        """Have it stop without a drain; whether it did."""
        self.thaw()
        with contextlib.suppress(subprocess.TimeoutExpired):
            for _ in range(SIGNALS):
                self.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._started().wait(SIGNALS_APART_S)
                    return True
            self._started().wait(STOP_MEASURED_S)
            return True
        return False

    def _spawn(self) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
        environ = {**kept, **self._settings, "PYTHONUNBUFFERED": "1"}
        self._measured = MEASURED in environ
        place = ("--host", HOST, "--port", str(self.port))
        atexit.register(self.close)
        if self._command is None and USABLE:
            self._process = next(TEMPLATES).fork(["serve", *place], environ, self._log.fileno())
            return
        self._process = subprocess.Popen(
            [*(self._command or SERVE), *place],
            cwd=ROOT,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

"""The project's commands as processes of their own: run to the end, or watched while they run.

They are forks of the template; that those are what ``python -m gateway`` is, ``tests/unit/test_template.py`` shows.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.support.node import ROOT
from tests.support.template import TEMPLATES, USABLE, Fork
from tests.support.waiting import PATIENCE_S, wait_until

GATEWAY: Final = (sys.executable, "-m", "gateway")
RUN_S = 60
STOP_S = 120


def environment(settings: dict[str, object] | None = None) -> dict[str, str]:
    """This process' environment without its ``GATEWAY_*``, and with these (names without ``GATEWAY_``)."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "SSE_GATEWAY_"))}
    given = {f"GATEWAY_{name}": str(value) for name, value in (settings or {}).items()}
    path = os.pathsep.join(filter(None, [str(ROOT), kept.get("PYTHONPATH")]))
    return {**kept, **given, "PYTHONUNBUFFERED": "1", "PYTHONPATH": path}


def run(*arguments: str, stdin: str = "", **settings: object) -> subprocess.CompletedProcess[str]:
    """``sse-gateway …`` to its end."""
    with Running.command(*arguments, keep_stdin=True, **settings) as running:
        running.tell(stdin)
        code = running.process.wait(RUN_S)
        return subprocess.CompletedProcess(arguments, code, running.stdout, running.stderr)


def run_on_full_disk(*arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """``python -m gateway …`` to its end, whose output cannot be written. Needs Linux' ``/dev/full``."""
    with open("/dev/full", "w") as full:
        return subprocess.run(
            [*GATEWAY, *arguments],
            cwd=ROOT,
            env=environment(settings),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=RUN_S,
        )


class Running:
    """A process whose output can be waited for. Leaves none of it behind, however the test ends."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        fork: bool = False,
        keep_stdin: bool = False,
        extra: Mapping[str, str] | None = None,
        **settings: object,
    ) -> None:
        """``fork``: it is a command of the gateway's, which the template may fork. ``extra`` are variables of the
        environment that are no settings."""
        self._out = tempfile.NamedTemporaryFile(prefix="sse-out-", suffix=".log")  # noqa: SIM115 (closed by __exit__)
        self._err = tempfile.NamedTemporaryFile(prefix="sse-err-", suffix=".log")  # noqa: SIM115 (closed by __exit__)
        reading, writing = os.pipe()
        self._stdin = open(writing, "wb")  # noqa: SIM115 (closed by __exit__)
        try:
            start = self._fork if fork and USABLE else self._spawn
            self.process = start(command, {**environment(settings), **(extra or {})}, reading)
        finally:
            os.close(reading)
        if not keep_stdin:
            self._stdin.close()

    def _fork(self, command: Sequence[str], environ: Mapping[str, str], stdin: int) -> subprocess.Popen[bytes] | Fork:
        files = self._out.fileno(), self._err.fileno(), stdin
        return next(TEMPLATES).fork(command[len(GATEWAY) :], environ, *files)

    def _spawn(self, command: Sequence[str], environ: Mapping[str, str], stdin: int) -> subprocess.Popen[bytes] | Fork:
        return subprocess.Popen(command, cwd=ROOT, env=environ, stdin=stdin, stdout=self._out, stderr=self._err)

    @classmethod
    def command(cls, *arguments: str, keep_stdin: bool = False, **settings: object) -> Self:
        """``sse-gateway …``"""
        return cls([*GATEWAY, *arguments], fork=True, keep_stdin=keep_stdin, extra=None, **settings)

    @property
    def stdout(self) -> str:
        return Path(self._out.name).read_text(errors="replace")

    @property
    def stderr(self) -> str:
        return Path(self._err.name).read_text(errors="replace")

    def wait_for(self, text: str, timeout_s: float = PATIENCE_S) -> str:
        """Return stdout as soon as it holds ``text``."""
        wait_until(lambda: text in self.stdout or self.process.poll() is not None, f"{text!r}", timeout_s)
        assert text in self.stdout, f"it ended with {self.process.poll()}: {self.stdout}{self.stderr}"
        return self.stdout

    def send(self, line: str) -> None:
        """Write a line to its stdin."""
        self._stdin.write(line.encode() + b"\n")
        self._stdin.flush()

    def tell(self, text: str) -> None:
        """Write this to its stdin and close that; it may end before it has read all."""
        with contextlib.suppress(BrokenPipeError), self._stdin:
            self._stdin.write(text.encode())

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """The exit code, as soon as it has ended."""
        return self.process.wait(STOP_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(STOP_S)
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()
        self._out.close()
        self._err.close()


def children(pid: int) -> list[int]:
    """The processes that this one has started."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(word) for word in found.stdout.split()]


def alive(pid: int) -> bool:
    """Whether the process runs; one that only waits to be buried does not."""
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return bool(found.stdout.strip()) and not found.stdout.strip().startswith("Z")

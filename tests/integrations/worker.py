"""Real workers of real queues, as processes of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.commands import alive
from tests.support.node import MEASURED
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
STOP_S = 30
ELSEWHERE = os.environ.get("PYTHONPATH", "").split(os.pathsep)
"""Where an environment of a queue's own has its packages."""


class Worker:
    """A worker process, the leader of a session of its own, with its output in ``log``."""

    def __init__(self, arguments: list[str], environment: dict[str, str], log: Path, *, measured: bool = True) -> None:
        self.log = log
        given = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *ELSEWHERE]), **environment}
        if not measured:
            given.pop(MEASURED, None)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                env=given,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Of its first process, which leads its session."""
        return self._process.pid

    def kill(self) -> None:
        """The whole worker at once, as when its machine loses power; some have process groups within their session.

        Returns when none of them is left: a connection that a dying one still has could be handed the next task."""
        if self._process.poll() is None:
            listed = subprocess.run(["ps", "-o", "pid=", "--sid", str(self._process.pid)], capture_output=True)
            pids = [int(pid) for pid in listed.stdout.split()]
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.kill()
            self._process.wait()
            wait_until(lambda: not any(alive(pid) for pid in pids), "the end of a worker's processes")

    def stop(self) -> None:
        """Ask it to end, and kill it if it does not."""
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

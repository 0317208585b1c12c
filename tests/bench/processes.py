"""The processes of a benchmark: what one has used, on which core it runs, and how it is spoken to."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

CORES: Final = sorted(os.sched_getaffinity(0))
"""The first is for the process under test; everything else stays on the others."""


FIRST: Final = -15
LAST: Final = 19
"""How willing a process is to wait, as Linux counts it."""
SESSION: Final = Path("/proc/self/autogroup")


def cpu_seconds(pid: int) -> float:
    """Time that a process has spent on a core, over all its threads, to the nanosecond (Linux)."""
    return time.clock_gettime((~pid << 3) | 2)  # what clock_getcpuclockid(3) answers


def resident_kib(pid: int) -> int:
    """Resident memory of a process (Linux)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


def stand_aside() -> None:
    """Leave the first core to the process under test: this process and those that it starts take the others."""
    if len(CORES) > 1:
        os.sched_setaffinity(0, CORES[1:])


def give_own_core(pid: int, number: int = 0) -> None:
    """Put a process that is to be measured on the first core, with all its threads.

    ``number`` counts processes that are measured together: each has its own core where enough are left to the others.
    """
    core = CORES[number if len(CORES) >= number + 3 else 0]
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {core})


def give_all_cores(pid: int) -> None:
    """Let a process run on whichever core has time for it, with all its threads."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), CORES)


def put_first(pid: int) -> None:
    """Let a process run before others of its core as soon as it has something to do, where this user may say that.

    For the load client: what waits for its turn beside Redis and the publisher would be counted as latency.
    """
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(1))


@contextlib.contextmanager
def before_others() -> Iterator[None]:
    """This process, and those that it starts meanwhile, have their cores before whatever else this machine is doing,
    where this user may say that. Linux shares a core among sessions first, and among their processes then."""
    mine, session = os.getpriority(os.PRIO_PROCESS, 0), _session_nice()
    with contextlib.suppress(PermissionError):
        _nice_session(FIRST)
        os.setpriority(os.PRIO_PROCESS, 0, FIRST)
    try:
        yield
    finally:
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, mine)
            _nice_session(session)


def run_after_others() -> None:
    """Let this process have only what the others of its session leave of its core."""
    os.setpriority(os.PRIO_PROCESS, 0, LAST)


def _session_nice() -> int:
    return int(SESSION.read_text().split()[-1]) if SESSION.exists() else 0


def _nice_session(value: int) -> None:
    if SESSION.exists():
        SESSION.write_text(str(value))


class ProgramEnded(Exception):
    """A program of the benchmark ended; the sentence holds the last it said."""


class Talker:
    """A program that is spoken to on its standard input and answers in lines."""

    def __init__(self, command: Sequence[object]) -> None:
        self._process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def say(self, text: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(text)
        except BrokenPipeError:
            raise self._ended() from None

    def hear(self) -> str:
        """The next line. Raises :class:`ProgramEnded`."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise self._ended()
        return line.decode().strip()

    def close(self) -> None:
        """Kill it. May be called twice."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ended(self) -> ProgramEnded:
        assert self._process.stderr is not None
        self._process.kill()
        return ProgramEnded(
            f"{self._process.args!r} ended: {self._process.stderr.read()[-600:].decode(errors='replace')}"
        )

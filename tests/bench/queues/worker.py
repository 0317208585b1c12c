"""A queue in processes of their own: what its worker's processes have used, and what queueing took."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tests.bench.processes import cpu_seconds
from tests.integrations.worker import ROOT, Worker

ARQ: Final = ROOT / "build" / "arq"
"""It holds redis-py back, and so has an environment of its own: ``make build/arq/.stamp``."""
TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")


class BenchQueue(NamedTuple):
    """``tasks`` empty ones take a second or so."""

    name: str
    tasks: int

    @property
    def module(self) -> str:
        return f"tests.bench.queues.{self.name}_queue"

    @property
    def there(self) -> bool:
        return self.name != "arq" or (ARQ / "arq").is_dir()

    def environment(self, queue_url: str, events_url: str | None) -> dict[str, str]:
        """What its processes find in theirs. Without ``events_url`` nothing is reported."""
        path = os.pathsep.join([str(ROOT), *([str(ARQ)] if self.name == "arq" else [])])
        events = {} if events_url is None else {"EVENTS_URL": events_url, "SSE_REDIS_URL": events_url}
        return {"QUEUE_URL": queue_url, "PYTHONPATH": path, **events}

    def worker(self, environment: dict[str, str], log: Path) -> Worker:
        program = f"from {self.module} import WORKER; print(*WORKER, sep='\\n')"
        return Worker(_python(["-c", program], environment).split("\n"), environment, log, measured=False)

    def send(self, environment: dict[str, str], count: int, hold: Path, mark: Path) -> float:
        """Queue tasks in a process of its own; seconds of its CPU for each."""
        return float(_python(["-m", "tests.bench.queues.send", self.module, count, hold, mark], environment))


def _python(words: Sequence[object], environment: dict[str, str]) -> str:
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(
        command, env={**os.environ, **environment}, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout.strip()


def cpu_of(worker: Worker) -> float:
    """Seconds of CPU that all processes of a worker have used, also those that have ended (Linux)."""
    total = 0.0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has just ended, and is counted at its parent
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[SESSION]) == worker.pid:
                ended = sum(int(fields[place]) for place in ENDED)
                total += cpu_seconds(int(path.parent.name)) + ended * TICK_S
    return total


SESSION: Final = 3
ENDED: Final = (13, 14)
"""Where the session's leader, and the time of children that have ended, stand behind a process's name."""

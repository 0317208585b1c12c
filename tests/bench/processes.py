"""The processes of a benchmark: C programs built on the spot, and how much CPU and memory a process has used."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.support.ports import HOST

HERE: Final = Path(__file__).parent
TICKS: Final = os.sysconf("SC_CLK_TCK")


def build(name: str) -> str:
    """Compile ``name.c`` and return the program's path. Needs a C compiler (gcc or cc)."""
    target = Path(tempfile.mkdtemp(prefix="sse-bench-")) / name
    subprocess.run(["cc", "-O2", "-o", str(target), str(HERE / f"{name}.c")], check=True)
    return str(target)


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has used (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_kib(pid: int) -> int:
    """Resident memory of a process (Linux)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


class Talker:
    """A C program that is spoken to by standard input and answers in lines."""

    def __init__(self, *command: object) -> None:
        self._process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def say(self, text: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text)

    def hear(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().decode().strip()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended unexpectedly.")
        return line

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()


class Listeners(Talker):
    """Many open streams in one C process."""

    def __init__(self, program: str, port: int, connections: int, path: str, header: str = "") -> None:
        super().__init__(program, HOST, port, connections, path, *([header] if header else []))

    def wait_open(self) -> None:
        while not self.hear().startswith("open"):
            pass

    def events(self) -> int:
        """Events received so far, over all connections."""
        self.say(b"?")
        return int(self.hear().split()[0])

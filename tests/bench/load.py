"""Many open streams in a process of their own, seen from Python."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from tests.bench import histogram, programs
from tests.bench.histogram import Histogram
from tests.bench.processes import Talker, put_first
from tests.support.ports import HOST

FALLBACK: Final = (sys.executable, "-m", "tests.bench.load_fallback")
PATIENCE_S: Final = 60


class Missing(Exception):
    """Not every delivery arrived."""


class OpeningSpan(NamedTuple):
    """So many streams were opened between these two moments (CLOCK_MONOTONIC, seconds)."""

    streams: int
    start: float
    end: float

    @property
    def per_second(self) -> float:
        return self.streams / (self.end - self.start)


def client_program() -> Sequence[object]:
    """The load client: in C where that can be compiled, else the slow one in Python."""
    return (programs.build("load"),) if programs.compiler() else FALLBACK


class Request(NamedTuple):
    """What one connection asks for."""

    path: str
    headers: tuple[str, ...] = ()


class LoadClient(Talker):
    """The streams of one system. ``requests`` are taken in turn, over again where there are more connections."""

    def __init__(self, port: int, requests: Iterable[Request], program: Sequence[object] | None = None) -> None:
        self._plan = tempfile.NamedTemporaryFile("w", prefix="sse-plan-")  # noqa: SIM115 (closed by close)
        self._plan.writelines("\t".join((each.path, *each.headers)) + "\n" for each in requests)
        self._plan.flush()
        super().__init__([*(program or client_program()), HOST, port, self._plan.name])
        put_first(self.pid)

    def close(self) -> None:
        self._plan.close()
        super().close()

    def ask(self, command: str) -> list[int]:
        self.say(command.encode() + b"\n")
        return [int(word) for word in self.hear().split()]

    def open(self, streams: int) -> OpeningSpan:
        """Open so many more streams; returns when each has begun its response."""
        count, start, end = self.ask(f"open {streams}")
        return OpeningSpan(count, start / 1e9, end / 1e9)

    def close_streams(self) -> None:
        self.ask("close")

    def count_by(self, mode: str) -> None:
        """``mark``: by the mark in the payload, with latencies; ``blank``: by the end of an event."""
        self.ask(f"mode {mode}")

    def track(self, on: bool) -> None:
        """Remember every stream's last id for the time when it is opened again."""
        self.ask(f"track {int(on)}")

    def events(self) -> int:
        """Deliveries so far."""
        return self.ask("count")[0]

    def bytes(self) -> int:
        return self.ask("count")[1]

    def wait(self, events: int, timeout_s: float = PATIENCE_S) -> float:
        """The moment (CLOCK_MONOTONIC, seconds) at which so many deliveries were there. Raises :class:`Missing`."""
        seen, now = self.ask(f"wait {events} {timeout_s * 1000:.0f}")
        if seen < events:
            raise Missing(f"{events - seen:,} of {events:,} deliveries are missing after {timeout_s:g} s.")
        return now / 1e9

    def histogram(self) -> Histogram:
        """Latencies since this was last asked."""
        self.say(b"histogram\n")
        return histogram.parse(self.hear())


def raise_file_limit() -> int:
    """Allow this process and its children as many open files as the system lets them; returns how many."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard

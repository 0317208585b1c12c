"""What viewers who have nothing to do with it notice of an attack on their node, and what it costs in memory."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from tests.bench.attacks.all import ATTACKS
from tests.bench.attacks.attack import Attack
from tests.bench.audience import Audience, audience, settle
from tests.bench.measurement import Row, Sample
from tests.bench.options import RunOptions
from tests.bench.processes import before_others
from tests.bench.progress import show
from tests.bench.systems.gateway import Gateway
from tests.bench.systems.system import SHARED, System

NAME: Final = "attacks"
SUMMARY: Final = "latency of 20 viewers, 50 events/s, during each attack, to quiet; --systems is ignored"
COLUMNS: Final = ("quiet_p99_ms", "p99_ms", "p99_ratio", "grown_mib")
VIEWERS: Final = 20
RATE: Final = 50
TAKES_HOLD_S: Final = 1.0
"""Until an attack is at its height."""
LOOK_S: Final = 0.02


def run(options: RunOptions) -> list[Row]:
    with before_others():
        return [
            Row(NAME, f"{VIEWERS} viewers, {RATE} events/s", attack.name, attack.label, measure(attack, options))
            for attack in ATTACKS.values()
        ]


def measure(attack: Attack, options: RunOptions) -> list[Sample]:
    """Rounds on one node, quiet and attacked in turn. An event that does not arrive within a minute is an error."""
    events = round(RATE * options.seconds_or(4.0))
    rounds = options.rounds_or(3)
    samples = []
    settings: dict[str, Any] = dict(attack.settings)
    system = Gateway(**settings)
    with audience(system, [SHARED] * VIEWERS) as crowd:
        attack.prepare(system)
        before = crowd.system.memory_kib()
        for number in range(rounds):
            show(f"{NAME}: round {number + 1} of {rounds}, {attack.label}")
            samples.append(one_round(attack, crowd, events, before))
    return samples


def one_round(attack: Attack, crowd: Audience, events: int, kib_before: int) -> Sample:
    settle(crowd.system)
    quiet = steady(crowd, events)
    with under(attack, crowd.system), peak_of(crowd.system) as peaks:
        time.sleep(TAKES_HOLD_S)
        found = steady(crowd, events)
    found.figures["quiet_p99_ms"] = quiet.figures["p99_ms"]
    found.figures["p99_ratio"] = found.figures["p99_ms"] / quiet.figures["p99_ms"]
    found.figures["grown_mib"] = (max(peaks) - kib_before) / 1024
    return found


def steady(crowd: Audience, events: int) -> Sample:
    return crowd.steady([SHARED] * events, RATE)


@contextmanager
def under(attack: Attack, system: System) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.attacks", attack.name, str(system.port)])
    try:
        yield
        if process.poll() is not None:
            raise RuntimeError(f"The attack {attack.name} ended by itself with {process.returncode}.")
    finally:
        process.kill()
        process.wait()


@contextmanager
def peak_of(system: System) -> Iterator[list[int]]:
    """Its memory in KiB, looked at again and again meanwhile."""
    seen = [system.memory_kib()]
    over = threading.Event()

    def look() -> None:
        while not over.wait(LOOK_S):
            seen.append(system.memory_kib())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()

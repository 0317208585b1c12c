"""What publishing costs beside redis-py's bare ``PUBLISH`` of the same bytes: one blocking worker with one round trip
per event, lists, asyncio tasks, and a progress report of a job.

The forms take turns in rounds, because a machine is rarely equally fast twice: compare the ratios of one run.

    python -m tests.bench.bench_publish [--rounds 7] [--seconds 0.5] [--url redis://…] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import redis

from publisher import AsyncPublisher, Publisher
from tests.support.broker import Broker

DATA = {"text": "x" * 179}
PAYLOAD = json.dumps(DATA, separators=(",", ":")).encode()
LIST = 200
TASKS = 64


class Sample(NamedTuple):
    """One round of one form: events per second, and microseconds of the server's CPU for each."""

    rate: float
    server_us: float


class Table:
    """Medians over the rounds, and ratios to the bare ``PUBLISH``."""

    def __init__(self) -> None:
        self.samples: dict[str, list[Sample]] = {}

    def add(self, form: str, sample: Sample) -> None:
        self.samples.setdefault(form, []).append(sample)

    def rows(self) -> dict[str, dict[str, float]]:
        bare = statistics.median(sample.rate for sample in self.samples["bare"])
        rows = {}
        for form, samples in self.samples.items():
            rate = statistics.median(sample.rate for sample in samples)
            server_us = statistics.median(sample.server_us for sample in samples)
            rows[form] = {"per_s": round(rate), "ratio": round(rate / bare, 2), "server_us": round(server_us, 1)}
        return rows


class Meter:
    """Measures a loop that publishes ``count`` events per turn."""

    def __init__(self, url: str, seconds: float) -> None:
        self._client = redis.Redis.from_url(url)
        self._seconds = seconds

    def __call__(self, turn: Callable[[], Any], count: int) -> Sample:
        turn()
        before, begin = self._cpu_s(), time.perf_counter()
        events, end = 0, begin + self._seconds
        while time.perf_counter() < end:
            turn()
            events += count
        took = time.perf_counter() - begin
        return Sample(events / took, (self._cpu_s() - before) / events * 1e6)

    def _cpu_s(self) -> float:
        cpu = self._client.info("cpu")
        return float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"])


@contextmanager
def server(url: str | None) -> Iterator[str]:
    if url is not None:
        yield url
        return
    with Broker() as broker:
        yield broker.url


def asyncio_turns(url: str) -> tuple[asyncio.Runner, Callable[[], Any]]:
    """A loop with an asyncio publisher, and a turn in which :data:`TASKS` tasks publish 8 events each."""
    runner = asyncio.Runner()
    runner.get_loop()
    pub = AsyncPublisher.from_url(url, prefix="bench")

    async def task(number: int) -> None:
        for _ in range(8):
            await pub.publish(f"topic:a{number % 16}", "tick", DATA)

    async def turn() -> None:
        await asyncio.gather(*map(task, range(TASKS)))

    return runner, lambda: runner.run(turn())


def measure(url: str, rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    table, meter = Table(), Meter(url, seconds)
    bare = redis.Redis.from_url(url)
    runner, asyncio_turn = asyncio_turns(url)
    with Publisher.from_url(url, prefix="bench") as pub, runner:
        one_channel = [("topic:many", "tick", DATA)] * LIST
        channels = [(f"topic:m{n % 20}", "tick", DATA) for n in range(LIST)]
        with pub.job("bench", kind="bench", owner="user") as job:
            forms: dict[str, tuple[Callable[[], Any], int]] = {
                "bare": (lambda: bare.publish("bench", PAYLOAD), 1),
                "publish": (lambda: pub.publish("topic:one", "tick", DATA), 1),
                "publish_many": (lambda: pub.publish_many(one_channel), LIST),
                "publish_many to 20 channels": (lambda: pub.publish_many(channels), LIST),
                "asyncio": (asyncio_turn, TASKS * 8),
                "job progress": (lambda: job.progress(40, message="Painting"), 1),
            }
            for _ in range(rounds):
                for form, (turn, count) in forms.items():
                    table.add(form, meter(turn, count))
    return table.rows()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="per form and round")
    parser.add_argument("--url", help="a Redis of your own; default: one that is started for this")
    parser.add_argument("--json", type=Path, help="write the table to this file too")
    args = parser.parse_args()
    with server(args.url) as url:
        rows = measure(url, args.rounds, args.seconds)
    for form, row in rows.items():
        print(f"{form:30}{row['per_s']:>9,.0f}/s{row['ratio']:>8.2f} x{row['server_us']:>9.1f} µs of the server's CPU")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()

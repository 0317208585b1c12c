"""What reporting adds to an empty task in each queue, what leases cost the nodes, and how often a provider is asked."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from sys import executable
from typing import Any, Final, NamedTuple

import redis

from publisher import AsyncPublisher, Job
from publisher.polling import Poll, Poller
from tests.bench.audience import Audience, audience, settle
from tests.bench.measurement import Row, Sample
from tests.bench.options import RunOptions
from tests.bench.processes import Talker, cpu_seconds
from tests.bench.progress import show
from tests.bench.queues.worker import BenchQueue, cpu_of
from tests.bench.rounds import alternate
from tests.bench.systems.gateway import KIND, PREFIX, Gateway
from tests.bench.systems.system import SHARED
from tests.integrations.worker import Worker
from tests.support.broker import Broker
from tests.support.waiting import wait_until

NAME: Final = "workers"
SUMMARY: Final = "what reporting adds to an empty task of 5 queues; 10,000 leases; polls for 200 viewers; no --systems"
COLUMNS: Final = (
    "task_us",
    "added_us",
    "redis_us_per_task",
    "calls",
    "queueing_us",
    "queueing_added_us",
    "queueing_calls",
    "node_ms_per_s",
    "without_ms_per_s",
    "redis_ms_per_s",
    "worker_ms_per_s",
    "asked_per_interval",
    "cpu_us",
)
QUEUES: Final = tuple(
    BenchQueue(*each) for each in (("celery", 400), ("rq", 60), ("dramatiq", 800), ("arq", 400), ("taskiq", 600))
)
TASK: Final = "an empty task"
ASKED: Final = tuple(f"cmdstat_{name}" for name in ("eval", "script", "hello", "auth", "select", "client", "ping"))
LEASES: Final = 10_000
WATCHED: Final = 1_000
VIEWERS: Final = 200
INTERVAL_S: Final = 0.5
POLLED_JOB: Final = "polled"


def run(options: RunOptions) -> list[Row]:
    return [*tasks(options), *leases(options), *polls(options)]


# An empty task ---


class Counts(NamedTuple):
    """What has been used so far: seconds of a worker's CPU and of the events' Redis, and calls of that."""

    worker_s: float
    redis_s: float
    calls: int


class Bench:
    """One queue with two workers, of which one reports."""

    def __init__(self, queue: BenchQueue, parts: ExitStack, folder: Path, count: int) -> None:
        self.queue = queue
        self._folder = folder
        self._count = count
        self._events = parts.enter_context(Broker())
        self._client = parts.enter_context(redis.Redis.from_url(self._events.url))
        self._sides: dict[bool, tuple[dict[str, str], Worker]] = {}
        for reports in (False, True):
            url = parts.enter_context(Broker()).url
            environment = queue.environment(url, self._events.url if reports else None)
            worker = queue.worker(environment, folder / f"{queue.name}-{reports}.log")
            self._sides[reports] = environment, parts.enter_context(worker)
            self.spent(reports, 15)

    def measure(self) -> Sample:
        plain, told = (self.spent(reports, self._count) for reports in (False, True))
        return Sample(
            {
                "task_us": plain["task_us"],
                "queueing_us": plain["queueing_us"],
                "added_us": told["task_us"] - plain["task_us"],
                "queueing_added_us": told["queueing_us"] - plain["queueing_us"],
                "redis_us_per_task": told["redis_us"],
                "calls": told["calls"],
                "queueing_calls": told["queueing_calls"],
            }
        )

    def spent(self, reports: bool, count: int) -> dict[str, float]:
        """For each of so many tasks. The worker is held up until all are queued."""
        environment, worker = self._sides[reports]
        hold, mark = (self._folder / secrets.token_hex(8) for _ in range(2))
        before = self._counts(worker)
        queueing_s = self.queue.send(environment, count, hold, mark)
        wait_until(hold.with_name(f"{hold.name}.begun").exists, f"{self.queue.name} to begin")
        queued = self._counts(worker)
        hold.touch()
        wait_until(mark.exists, f"{self.queue.name} to be through", timeout_s=120)
        done = self._counts(worker)
        return {
            "task_us": (done.worker_s - before.worker_s) / count * 1e6,
            "queueing_us": queueing_s * 1e6,
            "redis_us": (done.redis_s - before.redis_s) / count * 1e6,
            "calls": (done.calls - queued.calls) / count,
            "queueing_calls": (queued.calls - before.calls) / count,
        }

    def _counts(self, worker: Worker) -> Counts:
        return Counts(cpu_of(worker), cpu_seconds(self._events.pid), round_trips(self._client))


def round_trips(client: redis.Redis) -> int:
    """What clients have asked of the events' Redis: scripts, and what belongs to a connection."""
    found: Any = client.info("commandstats")
    return sum(stat["calls"] for name, stat in found.items() if name.startswith(ASKED))


def tasks(options: RunOptions) -> list[Row]:
    rows = []
    with tempfile.TemporaryDirectory(prefix="sse-bench-") as folder:
        for queue in QUEUES:
            if not queue.there:
                show(f"{NAME}: {queue.name} is left out: make build/arq/.stamp")
                continue
            with ExitStack() as parts:
                bench = Bench(queue, parts, Path(folder), queue.tasks // (4 if options.quick else 1))
                samples = alternate([bench], options.rounds_or(3), Bench.measure, lambda each: each.queue.name, NAME)
            rows.append(Row(NAME, TASK, queue.name, queue.name, samples[0]))
    return rows


# Leases ---


def leases(options: RunOptions) -> list[Row]:
    seconds = options.seconds_or(12.0)
    rows = []
    for viewers in (0, WATCHED):
        samples = []
        for number in range(options.rounds_or(2)):
            show(f"{NAME}: round {number + 1}, {LEASES:,} leases, {viewers:,} jobs watched")
            without, held = (spent_on_leases(viewers, lease_s, seconds) for lease_s in ("none", "30"))
            samples.append(Sample({**held, "without_ms_per_s": without["node_ms_per_s"]}))
        label = f"{viewers:,} of the jobs watched" if viewers else "nobody watches"
        rows.append(Row(NAME, f"{LEASES:,} leases", f"{viewers} watched", label, samples))
    return rows


def spent_on_leases(viewers: int, lease_s: str, seconds: float) -> dict[str, float]:
    """CPU per second of a node, its Redis, and the worker that has all the jobs."""
    channels = [f"job:{number}" for number in range(viewers)] or [SHARED]
    with audience(Gateway(), channels) as crowd, lease_holder(crowd, lease_s) as holder:
        settle(crowd.system)
        start = time.monotonic()
        before = crowd.system.cpu(), crowd.system.redis_cpu(), cpu_seconds(holder.pid)
        time.sleep(seconds)
        after = crowd.system.cpu(), crowd.system.redis_cpu(), cpu_seconds(holder.pid)
        took = time.monotonic() - start
    names = ("node_ms_per_s", "redis_ms_per_s", "worker_ms_per_s")
    return {name: (late - early) / took * 1e3 for name, early, late in zip(names, before, after, strict=True)}


@contextmanager
def lease_holder(crowd: Audience, lease_s: str) -> Iterator[Talker]:
    gateway = crowd.system
    assert isinstance(gateway, Gateway)
    words = ["-m", "tests.bench.queues.leases", gateway.broker.url, PREFIX, KIND, LEASES, lease_s]
    with Talker([executable, *words]) as holder:
        assert holder.hear() == "held"
        yield holder


# A provider that can only be asked ---


def polls(options: RunOptions) -> list[Row]:
    seconds = options.seconds_or(6.0)
    rows = []
    for viewers in (1, VIEWERS):
        show(f"{NAME}: a polled job with {viewers} viewers")
        samples = [asked(viewers, seconds) for _ in range(options.rounds_or(2))]
        label = f"{viewers} viewers" if viewers > 1 else "1 viewer"
        rows.append(Row(NAME, "a polled job", f"{viewers} viewers", label, samples))
    return rows


def asked(viewers: int, seconds: float) -> Sample:
    gateway = Gateway()
    with audience(gateway, [f"job:{POLLED_JOB}"] * viewers) as crowd:
        cpu = gateway.cpu()
        questions, took = asyncio.run(poll(gateway.broker.url, seconds))
        settle(crowd.system)
        cpu = gateway.cpu() - cpu
    deliveries = viewers * questions
    return Sample({"asked_per_interval": questions / (took / INTERVAL_S), "cpu_us": cpu / deliveries * 1e6})


async def poll(url: str, seconds: float) -> tuple[int, float]:
    """How often the provider was asked, from the first time to the last, and how long that took."""
    times: list[float] = []

    async def fetch(job: Job) -> Poll:
        times.append(time.monotonic())
        return Poll("active", progress=min(100.0, len(times) / 10))

    async with AsyncPublisher.from_url(url, prefix=PREFIX) as publisher:
        pollers = [Poller(publisher, fetch, interval_s=INTERVAL_S) for _ in range(2)]
        await pollers[0].watch(POLLED_JOB, kind=KIND)
        running = [asyncio.create_task(poller.run()) for poller in pollers]
        await asyncio.sleep(seconds)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    return len(times), times[-1] - times[0] + INTERVAL_S

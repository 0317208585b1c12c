"""How many durable events a second the publisher brings into Redis, beside bare ``PUBLISH``, which keeps nothing."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Final, NamedTuple

import redis

from publisher import AsyncPublisher, Publisher
from tests.bench import payload
from tests.bench.audience import Audience, audience
from tests.bench.measurement import Row, Sample
from tests.bench.options import RunOptions
from tests.bench.processes import cpu_seconds, give_own_core
from tests.bench.rounds import alternate
from tests.bench.systems import choice
from tests.bench.systems.gateway import PREFIX, Gateway
from tests.bench.systems.nchan import NchanRedis
from tests.bench.systems.system import SHARED, System, events
from tests.support.broker import Broker

NAME: Final = "publish"
SUMMARY: Final = "durable events per second, each way beside bare PUBLISH; and what an event costs Redis, beside nchan"
COLUMNS: Final = ("events_per_s", "of_bare", "publisher_us_per_event", "redis_us_per_event")
BATCH: Final = 100
SLICE: Final = 800
"""Events in turn with as many bare ones."""
THREADS: Final = 4
CHANNEL: Final = "topic:bench"


class Way(NamedTuple):
    """``send`` publishes so many events, a multiple of ``BATCH``."""

    name: str
    send: Callable[[int], None]


def run(options: RunOptions) -> list[Row]:
    return [*throughput(options), *cost_for_redis(options)]


def throughput(options: RunOptions) -> list[Row]:
    """Nobody listens. Each way takes turns with bare PUBLISH; Redis has a core of its own."""
    slices = 2 if options.quick else 10
    with ExitStack() as parts:
        broker = parts.enter_context(Broker())
        give_own_core(broker.pid)
        bare = parts.enter_context(redis.Redis.from_url(broker.url))
        publisher = parts.enter_context(Publisher.from_url(broker.url, prefix=PREFIX))
        runner = parts.enter_context(asyncio.Runner())
        found = ways(bare, publisher, runner, parts.enter_context(asyncio_publisher(broker.url, runner)))

        def measure(way: Way) -> Sample:
            totals, beside = Counter[str](), Counter[str]()
            for _ in range(slices):
                beside.update(spent(found[0], SLICE, broker))
                totals.update(spent(way, SLICE, broker))
            figures = {f"{name}_us_per_event": totals[name] / slices / SLICE * 1e6 for name in ("publisher", "redis")}
            figures["events_per_s"] = slices * SLICE / totals["seconds"]
            return Sample({**figures, "of_bare": beside["seconds"] / totals["seconds"]})

        samples = alternate(found, options.rounds_or(3), measure, lambda way: way.name, NAME)
    return [Row(NAME, "nobody listens", w.name, w.name, s) for w, s in zip(found, samples, strict=True)]


def ways(bare: redis.Redis, publisher: Publisher, runner: asyncio.Runner, aio: AsyncPublisher) -> list[Way]:
    jobs = itertools.count()

    def bare_publish(count: int) -> None:
        for _ in range(count):
            bare.publish(CHANNEL, payload.encoded())

    def blocking(count: int) -> None:
        for _ in range(count):
            publisher.publish(CHANNEL, "tick", payload.data())

    def progress(count: int) -> None:
        """Of a job with an owner: its state, its event and the owner's in one step."""
        with publisher.job(f"bench-{next(jobs)}", kind="bench", owner="bench") as job:
            for number in range(count):
                job.progress(number % 100, message="Painting the sky")

    def threads(count: int) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(blocking, [count // THREADS] * THREADS))

    def many(count: int) -> None:
        for _ in range(count // BATCH):
            publisher.publish_many(events([CHANNEL] * BATCH))

    async def at_once(count: int) -> None:
        """So many at a time as a backend has requests under way."""
        for _ in range(count // BATCH):
            await asyncio.gather(*[aio.publish(CHANNEL, "tick", payload.data()) for _ in range(BATCH)])

    return [
        Way("bare PUBLISH", bare_publish),
        Way("blocking", blocking),
        Way("job.progress", progress),
        Way(f"{THREADS} threads", threads),
        Way("publish_many", many),
        Way("asyncio", lambda count: runner.run(at_once(count))),
    ]


@contextmanager
def asyncio_publisher(url: str, runner: asyncio.Runner) -> Iterator[AsyncPublisher]:
    async def make() -> AsyncPublisher:
        return AsyncPublisher.from_url(url, prefix=PREFIX)

    publisher = runner.run(make())
    try:
        yield publisher
    finally:
        runner.run(publisher.close())


def spent(way: Way, count: int, broker: Broker) -> dict[str, float]:
    """Seconds that so many events took: on the clock, and of CPU here and in Redis."""
    start, own, server = time.monotonic(), time.process_time(), cpu_seconds(broker.pid)
    way.send(count)
    return {
        "seconds": time.monotonic() - start,
        "publisher": time.process_time() - own,
        "redis": cpu_seconds(broker.pid) - server,
    }


def cost_for_redis(options: RunOptions) -> list[Row]:
    """One viewer on one server, so that each event is kept, announced and delivered."""
    count = 500 if options.quick else 3000
    with ExitStack() as parts:
        systems: list[System] = choice.pick([NchanRedis, Gateway], options.systems)
        crowd = [parts.enter_context(audience(system, [SHARED])) for system in systems]
        contestants = [(each, batched) for each in crowd for batched in (False, True)]

        def measure(contestant: tuple[Audience, bool]) -> Sample:
            each, batched = contestant
            sample = each.burst([SHARED] * count) if batched else each.steady([SHARED] * count, 1e9)
            sample.figures["events_per_s"] = sample.figures["deliveries_per_s"]
            return sample

        found = alternate(contestants, options.rounds_or(3), measure, lambda c: c[0].system.label, NAME)
    rows = []
    for (each, batched), samples in zip(contestants, found, strict=True):
        how = "batched" if batched else "one by one"
        name = f"{each.system.name}-{how.replace(' ', '-')}"
        rows.append(Row(NAME, "one viewer", name, f"{each.system.label}, {how}", samples))
    return rows

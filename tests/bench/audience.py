"""One system with its viewers, and what is done with them in a round."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from tests.bench.load import LoadClient, Request
from tests.bench.measurement import Sample
from tests.bench.systems.system import System

IDLE_SHARE: Final = 0.02
"""Of a core, beneath which a process is at rest."""
SETTLE_S: Final = 15.0
PUBLISH_GROUP: Final = 100


class Audience:
    """Open streams on a system; ``channels`` says what each of them views."""

    def __init__(self, system: System, client: LoadClient, channels: Sequence[str]) -> None:
        self.system = system
        self.client = client
        self.channels = channels
        self.listeners: dict[str, int] = {}
        for channel in channels:
            self.listeners[channel] = self.listeners.get(channel, 0) + 1

    def steady(self, publish: Iterable[str], per_second: float) -> Sample:
        """Publish on these channels one by one at an even pace; returns when all has arrived."""
        wanted, events, deliveries = self._begin(), 0, 0
        start, cpu, redis_cpu = time.monotonic(), self.system.cpu(), self.system.redis_cpu()
        for number, channel in enumerate(publish):
            time.sleep(max(0.0, start + number / per_second - time.monotonic()))
            self.system.send(channel)
            deliveries += self.listeners[channel]
            events += 1
        end = self.client.wait(wanted + deliveries)
        return self._sample(events, deliveries, end - start, cpu, redis_cpu)

    def burst(self, publish: Iterable[str]) -> Sample:
        """Publish on these channels as fast as can be; returns when all has arrived."""
        channels = list(publish)
        deliveries = sum(self.listeners[channel] for channel in channels)
        wanted = self._begin()
        start, cpu, redis_cpu = time.monotonic(), self.system.cpu(), self.system.redis_cpu()
        self.system.send_many(channels)
        end = self.client.wait(wanted + deliveries)
        return self._sample(len(channels), deliveries, end - start, cpu, redis_cpu)

    def _begin(self) -> int:
        self.client.histogram()
        return self.client.events()

    def _sample(self, events: int, deliveries: int, took: float, cpu: float, redis_cpu: float) -> Sample:
        used = self.system.cpu() - cpu
        figures = {
            "cpu_us": used / deliveries * 1e6,
            "cpu_us_per_event": used / events * 1e6,
            "deliveries_per_s": deliveries / took,
            "deliveries": float(deliveries),
        }
        if self.system.redis_pid is not None:
            figures["redis_us_per_event"] = (self.system.redis_cpu() - redis_cpu) / events * 1e6
        return Sample(figures, self.client.histogram())


@contextmanager
def audience(system: System, channels: Sequence[str], requests: Iterable[Request] | None = None) -> Iterator[Audience]:
    """Start a system and open a stream for each of these channels."""
    with system:
        system.prepare(dict.fromkeys(channels))
        plan = requests or [system.request(channel) for channel in channels]
        with system.listen(plan) as client:
            client.open(len(channels))
            settle(system)
            yield Audience(system, client, channels)


def settle(system: System) -> None:
    """Return when its process is at rest, or after a while."""
    deadline = time.monotonic() + SETTLE_S
    for _ in itertools.takewhile(lambda _: time.monotonic() < deadline, itertools.count()):
        before = system.cpu() + system.redis_cpu()
        time.sleep(0.1)
        if system.cpu() + system.redis_cpu() - before < 0.1 * IDLE_SHARE:
            return

"""Everything the node counts, and how Prometheus sees it.

Plain integers on the hot path; prometheus-client only reads them when it is scraped. No label ever holds a user, a job
or a channel.
"""

from __future__ import annotations

import logging
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from publisher.envelope import Event, MessageError

PREFIX: Final = "sse_gateway"
LATENCY_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
DURATION_BUCKETS: Final = (0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0)
LAG_BUCKETS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)

log = logging.getLogger("gateway.hub")


class Histogram:
    """A histogram of plain numbers; one observation may stand for many (``weight``)."""

    def __init__(self, buckets: tuple[float, ...]) -> None:
        self._bounds = buckets
        self._counts = [0] * (len(buckets) + 1)
        self._sum = 0.0

    def observe(self, value: float, weight: int = 1) -> None:
        self._counts[bisect_left(self._bounds, value)] += weight
        self._sum += value * weight

    def family(self, name: str, text: str) -> Metric:
        total = 0
        rows: list[tuple[str, float]] = []
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            total += count
            rows.append((bound, total))
        return HistogramMetricFamily(name, text, buckets=rows, sum_value=self._sum)


class Metrics:
    """One object per node, handed to everything that counts."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.opened: Counter[str] = Counter()
        self.closed: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.open_by_dialect: Counter[str] = Counter()
        self.events_received = 0
        self.events_delivered: Counter[str] = Counter()
        self.bytes_sent = 0
        self.resumes: Counter[str] = Counter()
        self.replayed = 0
        self.gaps_repaired = 0
        self.resets: Counter[str] = Counter()
        self.reconnects: Counter[str] = Counter()
        self.durations = Histogram(DURATION_BUCKETS)
        self.latency = Histogram(LATENCY_BUCKETS)
        self.lag = Histogram(LAG_BUCKETS)
        self.probe_seconds = 0.0
        self.redis_up = False
        self.draining = False
        self.clock_offset: Callable[[], float] = lambda: 0.0
        self.channels: Callable[[], int] = lambda: 0
        self.queue_bytes: Callable[[], int] = lambda: 0
        self._unreadable_logged_at = 0.0

    # What others report -----------------------------------------------------------------------------------------------

    def fanned_out(self, events: list[Event], listeners: int) -> None:
        """Published → handed to the sockets, by the clock of Redis."""
        if listeners:
            now = (time.time() - self.clock_offset()) * 1000
            for event in events:
                self.latency.observe(max(0.0, now - event.time) / 1000, listeners)

    def unreadable(self, channel: str, error: MessageError) -> None:
        """A message that is none; said at most every ten seconds, and never with its content."""
        now = time.monotonic()
        if now - self._unreadable_logged_at > 10:
            self._unreadable_logged_at = now
            log.warning("message.unreadable kind=%s %s", channel.partition(":")[0], error)

    def probed(self, seconds: float) -> None:
        self.probe_seconds = seconds

    def redis_is_up(self) -> None:
        self.redis_up = True

    def redis_down(self) -> None:
        self.redis_up = False

    def redis_lost(self, reason: str) -> None:
        self.redis_up = False
        self.reconnects[reason if reason in ("deaf", "unconfirmed", "moved", "unreachable") else "closed"] += 1

    # What Prometheus reads --------------------------------------------------------------------------------------------

    def exposition(self) -> bytes:
        """The text format of Prometheus."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Reader(self))
        return generate_latest(registry)


class _Reader(Collector):
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        m = self._metrics
        yield _gauges("connections", "Open streams.", "dialect", m.open_by_dialect)
        yield _counters("connections_opened", "Streams opened.", "dialect", m.opened)
        yield _counters("connections_closed", "Streams ended, by reason.", "reason", m.closed)
        yield _counters("connections_refused", "Streams refused, by reason.", "reason", m.refused)
        yield m.durations.family(f"{PREFIX}_connection_duration_seconds", "How long streams were open.")
        yield _gauge("channels", "Channels this node listens to.", m.channels())
        yield _counter("events_received", "Messages that Redis brought.", m.events_received)
        yield _counters("events_delivered", "Events handed to streams.", "dialect", m.events_delivered)
        yield _counter("bytes_sent", "Bytes written to streams.", m.bytes_sent)
        yield m.latency.family(f"{PREFIX}_delivery_latency_seconds", "Published to written.")
        yield _counters("resumes", "Streams that came with a cursor, by what became of it.", "result", m.resumes)
        yield _counter("replayed_events", "Events sent from the history.", m.replayed)
        yield _counter("gaps_repaired", "Times that missed messages were found in the history.", m.gaps_repaired)
        yield _counters("resets", "Times that missed messages could not be replayed.", "reason", m.resets)
        yield _gauge("queue_bytes", "Bytes waiting for slow clients.", m.queue_bytes())
        yield _gauge("redis_up", "1 while the node hears Redis.", float(m.redis_up))
        yield _counters("redis_reconnects", "Pub/sub connections lost, by reason.", "reason", m.reconnects)
        yield _gauge("redis_probe_seconds", "Time of the last probe through Redis.", m.probe_seconds)
        yield m.lag.family(f"{PREFIX}_event_loop_lag_seconds", "How late the event loop was.")
        yield _gauge("draining", "1 while the node is stopping.", float(m.draining))
        build = GaugeMetricFamily(f"{PREFIX}_build_info", "The version that runs.", labels=["version"])
        build.add_metric([m.version], 1)
        yield build


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{PREFIX}_{name}", text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"{PREFIX}_{name}", text, value=value)


def _counters(name: str, text: str, label: str, values: Counter[str]) -> Metric:
    family = CounterMetricFamily(f"{PREFIX}_{name}", text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _gauges(name: str, text: str, label: str, values: Counter[str]) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family

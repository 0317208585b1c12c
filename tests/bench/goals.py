"""What the gateway is to reach beside others, and what it reached. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from tests.bench.figures import Figures
from tests.bench.formats import number

OURS: Final = "gateway"
BROADCASTS: Final = (("shared topic", OURS), ("client streams", "gateway-clients"))
BATCHED: Final = ("gateway-batched", "nchan-redis-batched")


class Goal(NamedTuple):
    """``limit`` is the most that ``reached`` may be, or the least where ``at_least`` says so."""

    sentence: str
    reached: float
    limit: float
    unit: str = "×"
    at_least: bool = False

    @property
    def known(self) -> bool:
        return self.reached == self.reached

    @property
    def met(self) -> bool:
        return self.reached >= self.limit if self.at_least else self.reached <= self.limit

    def row(self) -> tuple[str, str, str, str]:
        """Goal, limit, reached, verdict."""
        sign = "≥" if self.at_least else "≤"
        verdict = ("met" if self.met else "**not met**") if self.known else "not measured"
        return self.sentence, f"{sign} {_shown(self.limit, self.unit)}", _shown(self.reached, self.unit), verdict


def goals(figures: Figures) -> list[Goal]:
    return [
        *_steady(figures),
        *_burst(figures),
        *_viewers(figures),
        *_streams(figures),
        *_resume(figures),
        *_publish(figures),
        *_growth(figures),
        *_workers(figures),
    ]


def _ratio(figures: Figures, case: str, name: str, other: str, setting: str = "", ours: str = OURS) -> float:
    """Ours to another system's, in the same setting."""
    theirs = figures.value(case, other, name, setting)
    return figures.value(case, ours, name, setting) / theirs if theirs else float("nan")


def _steady(figures: Figures) -> Iterator[Goal]:
    for words, ours in BROADCASTS:
        for setting in ("1,000 ", "10,000 "):
            what = f"steady, {words}, {setting}connections: CPU per delivery"
            for other, theirs, limit in (("nchan", "nchan's", 0.8), ("floor", "the floor's", 1.5)):
                reached = _ratio(figures, "steady", "cpu_us", other, setting, ours)
                yield Goal(f"{what}, to {theirs}", reached, limit)


def _burst(figures: Figures) -> Iterator[Goal]:
    name = "deliveries_per_s"
    for words, ours in BROADCASTS:
        for setting in ("1,000 ", "10,000 "):
            what = f"burst, {words}, {setting}connections: deliveries/s"
            to_nchan = _ratio(figures, "burst", name, "nchan", setting, ours)
            yield Goal(f"{what}, to nchan's", to_nchan, 15, at_least=True)
            yield Goal(what, figures.value("burst", ours, name, setting), 4_000_000, "/s", at_least=True)
    by_hand = _ratio(figures, "burst", name, "handwritten", "1,000 ")
    yield Goal("burst, shared topic, 1,000 connections: to the hand-written", by_hand, 80, at_least=True)


def _viewers(figures: Figures) -> Iterator[Goal]:
    cpu = _ratio(figures, "viewers", "cpu_us_per_event", "nchan")
    yield Goal("own channel each: CPU per event, to nchan's", cpu, 0.9)
    yield Goal("own channel each: p99, to the floor's", _ratio(figures, "viewers", "p99_ms", "floor"), 1.5)


def _streams(figures: Figures) -> Iterator[Goal]:
    memory = figures.value("memory", "gateway-jwt", "kib_per_connection", "10,000 ")
    yield Goal("memory per idle authenticated connection, 10,000 of them", memory, 6, " KiB")
    connects = figures.value("connect", "gateway-jwt", "opens_per_s")
    yield Goal("new streams with a token each", connects, 8000, "/s", at_least=True)


def _resume(figures: Figures) -> Iterator[Goal]:
    for setting, limit in (("one channel", 1.5), ("a channel each", 1.0)):
        ratio = _ratio(figures, "resume", "caught_up_s", "nchan", setting)
        yield Goal(f"resume storm, {setting}: time, to nchan's", ratio, limit)
    reads = figures.value("resume", OURS, "history_reads", "one channel")
    yield Goal("resume storm, one channel: history reads per channel and node", reads, 1, "")


def _publish(figures: Figures) -> Iterator[Goal]:
    for way, least in (("blocking", 0.7), ("publish_many", 2.0), ("asyncio", 2.0)):
        rate = figures.value("publish", way, "of_bare", "nobody")
        yield Goal(f"durable publishing, {way}: rate, to bare blocking PUBLISH", rate, least, at_least=True)
    costs = (
        ("blocking", "event", 65),
        ("job.progress", "job.progress with an owner", 100),
        ("publish_many", "event of a list", 12),
    )
    for way, words, limit in costs:
        cost = figures.value("publish", way, "redis_us_per_event", "nobody")
        yield Goal(f"Redis CPU per {words}", cost, limit, " µs")
    ours, theirs = (figures.value("publish", name, "redis_us_per_event") for name in BATCHED)
    yield Goal("Redis CPU per durable event, batched, to nchan's", ours / theirs, 0.5)


def _growth(figures: Figures) -> Iterator[Goal]:
    """The growth of a delivery's cost from the fewest connections to the most, ours to the floor's."""
    ours, floor = (_grown(figures, system) for system in (OURS, "floor"))
    yield Goal("cost per delivery, 500 to 8,000 connections: growth, to the floor's", ours / floor, 1)


def _workers(figures: Figures) -> Iterator[Goal]:
    for queue in ("celery", "rq", "dramatiq", "arq", "taskiq"):
        calls = figures.value("workers", queue, "calls")
        yield Goal(f"a reported task of {queue}: calls of Redis beyond progress", calls, 2, "")
    for watched, words in (("0 watched", "nobody watches"), ("1000 watched", "1,000 jobs watched")):
        held, without = (figures.value("workers", watched, f"{name}_ms_per_s") for name in ("node", "without"))
        yield Goal(f"10,000 leases, {words}: a node's CPU, beyond that without", held - without, 1, " ms/s")
    asked = figures.value("workers", "200 viewers", "asked_per_interval")
    yield Goal("a polled job with 200 viewers: questions per interval", asked, 1, "")


def _grown(figures: Figures, system: str) -> float:
    costs = [line.figures["cpu_us"] for line in figures.select("growth", system=system)]
    return costs[-1] / costs[0] if len(costs) > 1 else float("nan")


def _shown(value: float, unit: str) -> str:
    return number(value) + (unit if value == value else "")

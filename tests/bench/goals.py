"""What the gateway is to reach beside others, and what it reached. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from tests.bench.figures import Figures
from tests.bench.formats import number

OURS: Final = "gateway"
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


def _ratio(figures: Figures, case: str, name: str, other: str, setting: str = "") -> float:
    """Ours to another system's, in the same setting."""
    theirs = figures.value(case, other, name, setting)
    return figures.value(case, OURS, name, setting) / theirs if theirs else float("nan")


def _steady(figures: Figures) -> Iterator[Goal]:
    for setting, of_floor in (("1,000 ", 2.0), ("10,000 ", 1.6)):
        what = f"steady, {setting}connections: CPU per delivery"
        yield Goal(f"{what}, to nchan's", _ratio(figures, "steady", "cpu_us", "nchan", setting), 1)
        yield Goal(f"{what}, to the floor's", _ratio(figures, "steady", "cpu_us", "floor", setting), of_floor)


def _burst(figures: Figures) -> Iterator[Goal]:
    what, name = "burst, 1,000 connections: deliveries/s", "deliveries_per_s"
    yield Goal(f"{what}, to nchan's", _ratio(figures, "burst", name, "nchan", "1,000 "), 15, at_least=True)
    by_hand = _ratio(figures, "burst", name, "handwritten", "1,000 ")
    yield Goal(f"{what}, to the hand-written", by_hand, 80, at_least=True)
    yield Goal(what, figures.value("burst", OURS, name, "1,000 "), 1_000_000, "/s", at_least=True)
    what = "burst, 10,000 connections: deliveries/s"
    yield Goal(f"{what}, to nchan's", _ratio(figures, "burst", name, "nchan", "10,000 "), 15, at_least=True)


def _viewers(figures: Figures) -> Iterator[Goal]:
    cpu = _ratio(figures, "viewers", "cpu_us_per_event", "nchan")
    yield Goal("own channel each: CPU per event, to nchan's", cpu, 1)
    yield Goal("own channel each: p99, to nchan's", _ratio(figures, "viewers", "p99_ms", "nchan"), 2)


def _streams(figures: Figures) -> Iterator[Goal]:
    memory = figures.value("memory", "gateway-jwt", "kib_per_connection", "10,000 ")
    yield Goal("memory per idle authenticated connection, 10,000 of them", memory, 12, " KiB")
    connects = figures.value("connect", "gateway-jwt", "opens_per_s")
    yield Goal("new streams with a token each", connects, 3000, "/s", at_least=True)


def _resume(figures: Figures) -> Iterator[Goal]:
    for setting in ("one channel", "a channel each"):
        ratio = _ratio(figures, "resume", "caught_up_s", "nchan", setting)
        yield Goal(f"resume storm, {setting}: time, to nchan's", ratio, 1.5)
    reads = figures.value("resume", OURS, "history_reads", "one channel")
    yield Goal("resume storm, one channel: history reads per channel and node", reads, 1, "")


def _publish(figures: Figures) -> Iterator[Goal]:
    for way, least in (("blocking", 0.6), ("publish_many", 2.0), ("asyncio", 2.0)):
        rate = figures.value("publish", way, "of_bare", "nobody")
        yield Goal(f"durable publishing, {way}: rate, to bare blocking PUBLISH", rate, least, at_least=True)
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

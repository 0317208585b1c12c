"""One timer for a limit that is the same for all: who is late is told, in order, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, cast

import pytest

from gateway.sockets.time_limit import TimeLimit

LIMIT_S: Final = 10.0


class HandLoop:
    """A clock that is moved by hand, and the timers that are set on it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], object]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], object]) -> object:
        self.timers.append((when, callback))
        return self.timers[-1]

    def call_later(self, delay: float, callback: Callable[[], object]) -> object:
        return self.call_at(self.now + delay, callback)

    def wait_until(self, now: float) -> None:
        self.now = now
        while due := [timer for timer in self.timers if timer[0] <= now]:
            self.timers.remove(due[0])
            due[0][1]()


class Beginner:
    def __init__(self, late: list[str], name: str) -> None:
        self._late = late
        self._name = name

    def on_late(self) -> None:
        self._late.append(self._name)


def limit_of(loop: HandLoop) -> TimeLimit:
    return TimeLimit(cast(asyncio.AbstractEventLoop, loop), LIMIT_S)


@pytest.fixture
def loop() -> HandLoop:
    return HandLoop()


def test_who_did_not_end_in_time_is_told_when_it_is_over(loop: HandLoop) -> None:
    late: list[str] = []
    limit = limit_of(loop)
    first, second, third = (Beginner(late, name) for name in ("first", "second", "third"))
    for at, each in enumerate((first, second, third)):
        loop.wait_until(at)
        limit.begin(each)
    limit.end(second)
    loop.wait_until(LIMIT_S - 0.1)
    assert late == []
    loop.wait_until(LIMIT_S)
    assert late == ["first"]
    loop.wait_until(LIMIT_S + 5)
    assert late == ["first", "third"]


def test_a_second_beginning_does_not_prolong_it(loop: HandLoop) -> None:
    late: list[str] = []
    limit = limit_of(loop)
    slow = Beginner(late, "slow")
    limit.begin(slow)
    loop.wait_until(LIMIT_S - 1)
    limit.begin(slow)
    loop.wait_until(LIMIT_S)
    assert late == ["slow"]


def test_it_can_begin_anew_after_an_end(loop: HandLoop) -> None:
    late: list[str] = []
    limit = limit_of(loop)
    slow = Beginner(late, "slow")
    limit.begin(slow)
    loop.wait_until(1)
    limit.end(slow)
    limit.end(slow)
    limit.begin(slow)
    loop.wait_until(LIMIT_S)
    assert late == []
    loop.wait_until(LIMIT_S + 1)
    assert late == ["slow"]


def test_there_is_one_timer_for_all_and_none_for_nobody(loop: HandLoop) -> None:
    limit = limit_of(loop)
    crowd = [Beginner([], str(number)) for number in range(1000)]
    for each in crowd:
        limit.begin(each)
    assert len(loop.timers) == 1
    for each in crowd:
        limit.end(each)
    loop.wait_until(LIMIT_S)
    assert loop.timers == []

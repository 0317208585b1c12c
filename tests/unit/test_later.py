"""The timers of what waits in asyncio publishers."""

from __future__ import annotations

import asyncio
import time

from publisher.asyncio.later import MOMENT_S, AsyncLater, send_each
from tests.support.waiting import until


class LateHandle:
    """Notes when it is told to send."""

    def __init__(self, sent: list[LateHandle]) -> None:
        self._sent = sent

    async def send_waiting(self) -> None:
        self._sent.append(self)


def moment(ahead: int) -> float:
    """The beginning of a moment, a few moments from now."""
    return (int(time.monotonic() / MOMENT_S) + ahead) * MOMENT_S


async def test_those_of_one_moment_send_together() -> None:
    later, sent = AsyncLater(send_each), list[LateHandle]()
    start = moment(4)
    others = [LateHandle(sent) for _ in range(5)]
    for number, other in enumerate(others):
        later.at(start + MOMENT_S * (number + 0.5) / 6, other)
    await until(lambda: bool(sent), "the first")
    await asyncio.sleep(0)
    assert sent == others


async def test_each_sends_once_at_the_last_time_it_was_given() -> None:
    later, sent = AsyncLater(send_each), list[LateHandle]()
    early, put_off, last = LateHandle(sent), LateHandle(sent), LateHandle(sent)
    start = moment(2)
    later.at(start, put_off)
    later.at(start, early)
    later.at(start, early)
    later.at(start + 4 * MOMENT_S, put_off)
    later.at(start + 8 * MOMENT_S, last)
    await until(lambda: last in sent, "the last")
    assert sent == [early, put_off, last]


async def test_what_is_sent_at_once_is_not_sent_again() -> None:
    later, sent = AsyncLater(send_each), list[LateHandle]()
    one, last = LateHandle(sent), LateHandle(sent)
    start = moment(2)
    later.at(start, one)
    later.soon(one)
    later.at(start + 4 * MOMENT_S, last)
    await until(lambda: last in sent, "the last")
    assert sent == [one, last]


async def test_all_send_before_it_is_closed() -> None:
    later, sent = AsyncLater(send_each), list[LateHandle]()
    one, other = LateHandle(sent), LateHandle(sent)
    later.at(time.monotonic() + 600, one)
    later.at(time.monotonic() + 900, other)
    await later.flush()
    assert sent == [one, other]

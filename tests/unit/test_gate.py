"""What Redis brings waits while orders may have been missed, and nothing of it is lost without a word."""

from __future__ import annotations

import asyncio

from gateway.broker.gate import Gate, Messages


class Behind:
    """What came through a gate."""

    def __init__(self, max_held_bytes: int = 100) -> None:
        self.got: Messages = []
        self.missed = 0
        self.gate = Gate(self.got.extend, self._miss, max_held_bytes=max_held_bytes)

    def _miss(self) -> None:
        self.missed += 1


async def test_what_comes_during_a_doubt_is_delivered_in_order_when_it_ends() -> None:
    behind = Behind()
    behind.gate.receive([("a", b"1")])
    behind.gate.receive([("b", b"2")])
    assert behind.got == []
    behind.gate.open(behind.gate.doubts)
    behind.gate.receive([("a", b"3")])
    assert behind.got == [("a", b"1"), ("b", b"2"), ("a", b"3")]


async def test_a_doubt_that_comes_while_orders_are_read_keeps_it_closed() -> None:
    behind = Behind()
    began = behind.gate.doubts
    behind.gate.doubt()
    behind.gate.open(began)
    behind.gate.receive([("a", b"1")])
    assert behind.got == [] and not behind.gate.is_open and behind.gate.due.is_set()


async def test_more_than_is_held_is_dropped_and_told() -> None:
    behind = Behind(max_held_bytes=3)
    for _ in range(3):
        behind.gate.receive([("a", b"12")])
    behind.gate.open(behind.gate.doubts)
    assert (behind.got, behind.missed) == ([], 1)
    behind.gate.receive([("a", b"3")])
    assert behind.got == [("a", b"3")]


async def test_a_failed_read_holds_back_reads_alone() -> None:
    behind = Behind()
    behind.gate.open(behind.gate.doubts)
    behind.gate.doubt_reads()
    behind.gate.receive([("a", b"1")])
    assert behind.got == [("a", b"1")]
    waiting = asyncio.create_task(behind.gate.passed())
    await asyncio.sleep(0)
    assert not waiting.done()
    behind.gate.open(behind.gate.doubts)
    await waiting

"""However many clients have something to say, a turn of the loop hears a few of them, and Redis in any case."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from gateway.sockets.peer import StreamPeer
from gateway.sockets.turns import CLIENTS, FEWEST, TURN_S, new_loop

STREAMS = 10 * CLIENTS
HALF = STREAMS // FEWEST // 2
MOST_TURNS = 1000


class Redis(asyncio.Protocol):
    """A connection of the node's own."""

    heard = False

    def data_received(self, data: bytes) -> None:
        self.heard = True


class Place:
    """Connections of one loop, of which the test has the other ends."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.streams: set[Any] = set()
        self.ends: list[socket.socket] = []
        self.redis = Redis()

    async def stream(self) -> socket.socket:
        """The far end of an open stream."""
        transport, end = await self._connect(asyncio.Protocol())
        StreamPeer(transport, self.streams, chunked=True, again=None, paused=False)
        await self._heard_anew(transport)
        return end

    async def own(self) -> socket.socket:
        """The far end of the connection to Redis."""
        return (await self._connect(self.redis))[1]

    async def _connect(self, protocol: asyncio.Protocol) -> tuple[asyncio.Transport, socket.socket]:
        near, far = socket.socketpair()
        self.ends.append(far)
        transport, _ = await self.loop.connect_accepted_socket(lambda: protocol, near)
        return transport, far

    async def _heard_anew(self, transport: asyncio.Transport) -> None:
        """A server's connections are clients' from the beginning; this one has become one."""
        transport.pause_reading()
        transport.resume_reading()

    async def turns_until(self, done: Callable[[], bool], each: Callable[[], None] = lambda: None) -> list[int]:
        """How many streams there are after each turn of the loop."""
        counts: list[int] = []
        while not done():
            assert len(counts) < MOST_TURNS
            each()
            await asyncio.sleep(0)
            counts.append(len(self.streams))
        return counts

    def close(self) -> None:
        for end in self.ends:
            end.close()


def in_place(test: Callable[[Place], Any]) -> None:
    async def run() -> None:
        place = Place()
        try:
            await test(place)
        finally:
            place.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(run())


def test_hundreds_of_streams_that_are_closed_at_once_take_many_turns_and_none_of_them_from_redis() -> None:
    async def run(place: Place) -> None:
        redis = await place.own()
        for end in [await place.stream() for _ in range(STREAMS)]:
            end.close()
        redis.send(b"+OK\r\n")
        counts = await place.turns_until(lambda: place.redis.heard)
        assert counts[-1] >= STREAMS - 2 * CLIENTS
        counts += await place.turns_until(lambda: not place.streams)
        assert max(before - after for before, after in zip([STREAMS, *counts], counts, strict=False)) <= CLIENTS

    in_place(run)


def test_after_turns_that_took_long_fewer_clients_are_heard() -> None:
    async def run(place: Place) -> None:
        for end in [await place.stream() for _ in range(STREAMS)]:
            end.close()
        counts = await place.turns_until(lambda: not place.streams, work)
        heard = [before - after for before, after in pairwise(counts)]
        assert heard[-HALF:] == [FEWEST] * HALF

    def work() -> None:
        began = time.thread_time()
        while time.thread_time() - began < TURN_S:
            pass

    in_place(run)


def test_clients_that_always_have_something_to_say_do_not_take_the_turns_of_others() -> None:
    async def run(place: Place) -> None:
        loud = [await place.stream() for _ in range(3 * CLIENTS)]
        quiet = await place.stream()

        def talk() -> None:
            for end in loud:
                end.send(b"?")

        talk()
        await asyncio.sleep(0)
        quiet.close()
        counts = await place.turns_until(lambda: len(place.streams) < len(loud) + 1, talk)
        assert len(counts) <= 3 * CLIENTS / FEWEST + 3  # if turns take long

    in_place(run)

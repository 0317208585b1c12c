"""What one turn of the loop hears: some clients, whatever else is ready, and fewer clients after a long turn."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from selectors import EVENT_READ, EVENT_WRITE
from types import SimpleNamespace

import pytest

from gateway.sockets.peer import StreamPeer
from gateway.sockets.turns import CLIENTS, FEWEST, TURN_S, TurnSelector

MANY = 3 * CLIENTS


class _ClientTransport:
    """What asyncio's handle of a client's connection calls."""

    def get_protocol(self) -> StreamPeer:
        return object.__new__(StreamPeer)

    def ready(self) -> None: ...


class World:
    """Pipes with something to read: ``clients``, and one that is none."""

    def __init__(self) -> None:
        self.selector = TurnSelector()
        self._open: list[int] = []
        handle = SimpleNamespace(_callback=_ClientTransport().ready)
        self.clients = {self.pipe((handle, None)) for _ in range(MANY)}
        self.other = self.pipe(None)

    def pipe(self, data: object) -> int:
        reader, writer = os.pipe()
        os.write(writer, b"x")
        self._open += [reader, writer]
        self.selector.register(reader, EVENT_READ, data)
        return reader

    def turn(self) -> list[int]:
        return [key.fd for key, _ in self.selector.select(1)]

    def close(self) -> None:
        self.selector.close()
        for fd in self._open:
            os.close(fd)


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


def work(seconds: float) -> None:
    """Use the processor for so long."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_every_client_is_heard_in_its_turn_and_what_is_none_in_every_turn(world: World) -> None:
    turns = [world.turn() for _ in range(MANY // CLIENTS)]
    heard = [fd for turn in turns for fd in turn if fd != world.other]
    assert sorted(heard) == sorted(world.clients)
    assert all(world.other in turn and len(turn) == CLIENTS + 1 for turn in turns)


def test_after_a_long_turn_fewer_are_heard_and_then_more_again(world: World) -> None:
    """A long turn that heard nobody is nobody's fault."""
    world.turn()
    work(2 * TURN_S)
    assert [len(world.turn()) - 1 for _ in range(CLIENTS - FEWEST + 2)] == [*range(FEWEST, CLIENTS + 1), CLIENTS]
    for fd in world.clients:
        world.selector.unregister(fd)
    assert world.turn() == [world.other]
    work(2 * TURN_S)
    world.clients = {world.pipe((SimpleNamespace(_callback=_ClientTransport().ready), None)) for _ in range(MANY)}
    assert len(world.turn()) == CLIENTS + 1


def test_what_is_only_written_to_is_not_read(world: World) -> None:
    world.selector.modify(world.other, EVENT_WRITE, None)
    assert world.other not in world.turn()
    world.selector.modify(world.other, EVENT_READ, None)
    assert world.other in world.turn()

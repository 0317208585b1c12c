"""What the heartbeat wheel holds of connections that are closed."""

from __future__ import annotations

import gc
import time
import weakref

import pytest

from gateway.closing import Closing
from gateway.fanout.connection import Connection
from gateway.timers import Timers
from publisher.envelope import START
from tests.unit.hub_world import World


class Clocked(World):
    """Beside the hub the timers, and one stream on a channel."""

    def __init__(self, *, heartbeat_s: float = 1) -> None:
        super().__init__()
        self.timers = Timers(
            self.hub,
            self.metrics,
            heartbeat_s=heartbeat_s,
            write_timeout_s=30,
            unwant=lambda channels: None,
            compare=lambda now: None,
        )
        self.topic = self.channel("topic:a", START)


def world() -> tuple[Timers, Connection]:
    made = Clocked()
    return made.timers, made.connect(made.topic)[0]


@pytest.mark.parametrize("part", [0.0, 0.001, 0.5, 0.999])
def test_a_stream_lasts_to_its_deadline_and_ends_with_the_first_tick_after_it(part: float) -> None:
    """A token is good until its exp, not until the second in which that falls."""
    timers, connection = world()
    deadline = float(int(time.monotonic()) + 5) + part
    timers.add(connection, deadline, Closing.EXPIRED)
    for early in (5.0, 1.0, 0.0005):
        timers.expire(deadline - early)
        assert connection.closing is None, f"{early} s before the deadline"
    timers.expire(deadline)
    assert connection.closing is Closing.EXPIRED


def test_a_deadline_that_has_passed_ends_the_stream_with_the_next_tick() -> None:
    timers, connection = world()
    timers.add(connection, time.monotonic() - 100, Closing.EXPIRED)
    timers.expire(time.monotonic())
    assert connection.closing is Closing.EXPIRED


def test_heartbeats_of_streams_that_came_together_are_spread_over_the_whole_time() -> None:
    made = Clocked(heartbeat_s=5)
    crowd = [made.connect(made.topic) for _ in range(10)]
    for connection, _ in crowd:
        made.timers.add(connection, None, Closing.AGE)
    beats = []
    for _ in range(5):
        before = [connection.written for connection, _ in crowd]
        made.timers.beat()
        beats.append(sum(connection.written > had for (connection, _), had in zip(crowd, before, strict=True)))
    assert beats == [2] * 5


@pytest.mark.parametrize("lifetime_s", [None, 0.0, 3600.0, 1e9])
def test_a_closed_connection_is_forgotten_whatever_was_planned_for_it(lifetime_s: float | None) -> None:
    made = Clocked(heartbeat_s=15)
    connection, socket = made.connect(made.topic)
    made.timers.add(connection, None if lifetime_s is None else time.monotonic() + lifetime_s, Closing.AGE)
    made.hub.discard(connection)
    made.timers.remove(connection)
    connection.close(Closing.GONE)
    del socket  # which would tell it of a full buffer
    gone = weakref.ref(connection)
    del connection
    gc.collect()
    assert gone() is None and not made.topic.used

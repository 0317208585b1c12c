"""What a channel remembers for those who come back in a crowd: a chain or nothing, and not for long."""

from __future__ import annotations

from gateway.fanout.channel import TAIL_EVENTS
from gateway.fanout.continuity import Snapshot
from tests.unit.hub_world import World, at, event, events

NAME = "topic:a"


def test_what_the_first_of_a_crowd_has_read_serves_the_others() -> None:
    """Also with what has arrived since."""
    world = World()
    channel = world.channel(NAME, at(8))
    channel.join()
    assert channel.since(at(3)) is None
    channel.recall(Snapshot(at(8), events(NAME, 2, 8)))
    world.receive(event(NAME, 9))
    assert channel.since(at(3)) == events(NAME, 4, 9)
    assert channel.since(at(9)) == []


def test_a_read_that_is_older_than_the_channel_joins_up_with_what_has_arrived() -> None:
    world = World()
    channel = world.channel(NAME, at(5))
    channel.join()
    world.receive(event(NAME, 6), event(NAME, 7))
    channel.recall(Snapshot(at(5), events(NAME, 2, 5)))
    assert channel.since(at(1)) == events(NAME, 2, 7)


def test_a_position_of_another_history_finds_nothing() -> None:
    """The number alone proves nothing: the marks have to form a chain."""
    world = World()
    channel = world.channel(NAME, at(8))
    channel.join()
    channel.recall(Snapshot(at(8), events(NAME, 2, 8)))
    assert channel.since(at(3, "x")) is None
    assert channel.since(at(8, "x")) is None
    assert channel.since(at(9)) is None


def test_a_read_that_does_not_reach_the_channels_end_is_not_kept() -> None:
    """Neither a page of a long history nor one that leaves a hole."""
    world = World()
    channel = world.channel(NAME, at(8))
    channel.join()
    channel.recall(Snapshot(at(6), events(NAME, 2, 6)))
    channel.recall(Snapshot(at(8), events(NAME, 2, 6), more=True))
    assert not channel.tail


def test_what_is_kept_is_bounded() -> None:
    world = World()
    last = TAIL_EVENTS + 50
    channel = world.channel(NAME, at(last))
    channel.join()
    channel.recall(Snapshot(at(last), events(NAME, 1, last)))
    assert len(channel.tail) == TAIL_EVENTS
    assert channel.since(at(10)) is None
    assert channel.since(at(last - 1)) == [event(NAME, last)]


def test_it_is_forgotten_when_nobody_joins_for_a_while() -> None:
    """Not at once: the crowd may come one by one. Events are not kept without a joiner either."""
    world = World()
    channel = world.channel(NAME, at(8))
    channel.join()
    channel.recall(Snapshot(at(8), events(NAME, 2, 8)))
    channel.cool()
    channel.joined()
    channel.cool()
    assert channel.since(at(7)) is not None
    channel.join()
    channel.joined()
    channel.cool()
    assert channel.since(at(7)) is not None
    channel.cool()
    assert not channel.tail
    world.receive(event(NAME, 9))
    assert not channel.tail

"""A broadcast that is alone on its way goes past the queues, some streams in each turn, and nobody can tell."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.closing import Closing
from gateway.fanout import sse
from gateway.fanout.channel import Channel
from gateway.fanout.connection import Connection
from gateway.fanout.continuity import Snapshot
from gateway.fanout.state import State
from publisher.envelope import START, Event, encode
from tests.unit.hub_world import FakeSocket, World, at, event, events

NAMES = ("topic:a", "client:x", "client:y")
HAPPENINGS = ("turn", "turn", "beat", "leave", "end", "lose", "join", "stop", "go on")
BEAT = sse.json_block({"beat": 1})

steps = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.lists(st.sampled_from([*NAMES, "topic:a", "topic:a"]), min_size=1, max_size=3)),
        st.tuples(st.sampled_from(HAPPENINGS), st.just([])),
    ),
    max_size=30,
)


class Onlookers:
    """Streams of a client's own channel and the broadcast, and of the broadcast alone, to which all sorts of things
    happen while it is on its way to them."""

    def __init__(self, at_once: int) -> None:
        self.world = World(at_once=at_once)
        self.channels = {name: self.world.channel(name, START) for name in NAMES}
        self.newest = dict.fromkeys(NAMES, 0)
        self.streams: list[tuple[Connection, FakeSocket]] = []
        for _ in range(3):
            self.join()
        self.streams += [self._connect("client:x"), self._connect("client:y")]
        self.whose = 0

    def join(self) -> None:
        self.streams.append(self._connect())

    def _connect(self, *own: str) -> tuple[Connection, FakeSocket]:
        return self.world.connect(*[self.channels[name] for name in (*own, "topic:a")], chunked=False)

    def read(self, names: list[str]) -> None:
        self.world.begin(*[self._next(name) for name in names])

    def _next(self, name: str) -> Event:
        self.newest[name] += 1
        return event(name, self.newest[name])

    def happen(self, what: str, names: list[str]) -> None:
        connection, _ = self.streams[self.whose % len(self.streams)]
        self.whose += 1
        hub = self.world.hub
        if what == "read":
            self.read(names)
        elif what == "turn":
            self.world.one_turn()
        elif what == "join":
            self.join()
        elif what == "beat" and connection.state is State.LIVE:
            hub.queue(connection, BEAT)
            hub.flush()
        elif what == "leave":
            connection.finish(Closing.AGE)
            hub.discard(connection)
            hub.flush()
        elif what == "end":
            connection.finish(Closing.AGE)
        elif what == "lose":
            connection.on_lost()
        elif what == "stop":
            connection.pause()
        elif what == "go on":
            connection.resume()

    def told(self) -> list[Any]:
        """What each stream has got in the end."""
        for connection, _ in self.streams:
            if connection.state is not State.CLOSED:
                connection.resume()
        self.world.turn()
        return [
            ("lost" if connection.state is State.CLOSED else socket.text, list(connection.behind.values()))
            for connection, socket in self.streams
        ]


@given(steps=steps, at_once=st.integers(1, 4))
@settings(max_examples=300)
def test_past_the_queues_each_stream_gets_the_same(steps: list[tuple[str, list[str]]], at_once: int) -> None:
    """The same bytes in the same order as where everybody is written to at once, whatever happens in between."""
    crowds = [Onlookers(at_once), Onlookers(1000)]
    for what, names in steps:
        for crowd in crowds:
            crowd.happen(what, names)
    assert crowds[0].told() == crowds[1].told()


def topic(world: World) -> Channel:
    return world.channel("topic:a", START)


def test_it_is_written_to_some_in_each_turn() -> None:
    """Not to all at once: others have something to say too."""
    world = World(at_once=2)
    channel = topic(world)
    sockets = [world.connect(channel)[1] for _ in range(5)]
    world.begin(event("topic:a", 1))
    seen = []
    while world.later:
        seen.append(sum(bool(socket.written) for socket in sockets))
        world.one_turn()
    assert seen[:2] == [2, 4]
    assert all(socket.text.count("data: 1") == 1 for socket in sockets)


def test_what_it_gets_meanwhile_comes_behind() -> None:
    world = World(at_once=1)
    channel = topic(world)
    streams = [world.connect(channel) for _ in range(3)]
    world.begin(event("topic:a", 1))
    connection, socket = streams[2]
    world.hub.queue(connection, BEAT)
    world.turn()
    assert socket.text.index("data: 1\n") < socket.text.index("beat")


def test_an_id_says_of_other_channels_what_was_said_before_it() -> None:
    """An event of a stream's other channel, which comes while the broadcast is on its way to it, is not named by it."""
    world = World(at_once=1)
    own, shared = world.channel("client:x", START), topic(world)
    world.connect(shared)
    world.connect(shared)
    _, socket = world.connect(own, shared)
    world.begin(event("topic:a", 1))
    world.begin(event("client:x", 1))
    world.turn()
    first, second = socket.text.split("\n\n")[:2]
    assert "data: 1" in first and own.tag not in first
    assert own.tag in second and shared.tag in second


def test_who_goes_has_got_it() -> None:
    """Last words stand behind what was said before."""
    world = World(at_once=1)
    channel = topic(world)
    world.connect(channel)
    connection, socket = world.connect(channel)
    world.begin(event("topic:a", 1))
    assert not socket.written
    connection.finish(Closing.AGE)
    world.hub.discard(connection)
    world.hub.queue(connection, BEAT)
    world.turn()
    assert socket.text.index("data: 1\n") < socket.text.index("beat")


def test_who_is_behind_on_another_channel_has_it_in_its_queue_at_once() -> None:
    """Its task may say things of its own before the turn comes."""
    world = World(at_once=1)
    own, shared = world.channel("client:x", at(1)), topic(world)
    world.connect(shared)
    world.connect(shared)
    connection, _ = world.opening(own, shared)
    connection.behind = {own: START, shared: START}
    world.hub.join(connection, shared)
    connection.begun()
    assert connection.state is State.BEHIND
    world.begin(event("topic:a", 1))
    assert len(connection.waiting) == 1
    world.turn()


def test_who_comes_meanwhile_does_not_get_it_twice() -> None:
    """It has read the history up to where the channel is."""
    world = World(at_once=1)
    channel = topic(world)
    for _ in range(3):
        world.connect(channel)
    world.begin(event("topic:a", 1))
    connection, socket = world.connect(channel)
    world.hub.queue(connection, BEAT)
    world.turn()
    assert socket.written == [BEAT]
    world.receive(event("topic:a", 2))
    assert socket.text.count("data: ") == 2


def test_what_was_missed_comes_behind_it() -> None:
    """A look at the history finds the next event while the last one is on its way."""
    world = World(at_once=1)
    channel = topic(world)
    sockets = [world.connect(channel)[1] for _ in range(3)]
    world.begin(event("topic:a", 1))
    assert world.hub.learn(channel, Snapshot(at(2), events("topic:a", 1, 2)), START)
    world.turn()
    assert all(socket.text.index("data: 1\n") < socket.text.index("data: 2\n") for socket in sockets)


def test_a_reset_comes_behind_it() -> None:
    world = World(at_once=1)
    channel = topic(world)
    sockets = [world.connect(channel)[1] for _ in range(3)]
    world.begin(event("topic:a", 1))
    world.hub.reset(channel, Snapshot(at(9), []), [], "gap")
    world.turn()
    assert all(socket.text.index("data: 1\n") < socket.text.index("reset") for socket in sockets)


def test_who_has_no_room_for_the_last_event_of_a_job_has_not_ended_with_it() -> None:
    """It reads it from the history: a stream that ends without its job's result would look complete."""
    world = World()
    channel = world.channel("job:j", START)
    streams = [world.connect(channel, limit=10) for _ in range(2)]
    for connection, _ in streams[1:]:
        connection.pause()
    world.receive(event("job:j", 1, type="job.completed"))
    assert [connection.state for connection, _ in streams] == [State.ENDING, State.BEHIND]
    assert streams[0][1].text.count("data: 1") == 1 and not streams[1][1].written


def test_nobody_waits_for_ever_while_more_comes_in_each_turn() -> None:
    """Who was written to first is not written to again before the others."""
    world = World(at_once=1)
    channel = topic(world)
    sockets = [world.connect(channel)[1] for _ in range(3)]
    for number in range(1, 31):
        world.begin(event("topic:a", number))
        world.one_turn()
    assert [len(socket.written) >= 10 for socket in sockets] == [True] * 3
    assert [socket.text.count("data: ") >= 26 for socket in sockets] == [True] * 3


def test_one_read_is_one_write_whatever_it_brought() -> None:
    """Events of two channels, of which one is for many and the other for one alone."""
    for names in (["client:x", "topic:a"], ["topic:a", "client:x"], ["topic:a", "client:y", "client:x"]):
        crowd = Onlookers(1000)
        crowd.read(names)
        assert [len(socket.written) for _, socket in crowd.streams] == [1] * 5


def test_a_burst_is_one_write_for_those_who_wait() -> None:
    """What comes while the first event is on its way is joined with it."""
    world = World(at_once=1)
    channel = topic(world)
    sockets = [world.connect(channel)[1] for _ in range(3)]
    for number in range(1, 5):
        world.hub.receive([("topic:a", encode(event("topic:a", number)))])
    world.turn()
    assert [len(socket.written) for socket in sockets] == [2, 1, 1]
    assert all(socket.text.count("data: ") == 4 for socket in sockets)

"""Streams, hub, history and reconciler against a model of Redis: whatever is lost, late, doubled or cut off, each
client gets every event once and in order, or is told of a loss and given the newest state."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.fanout.state import State
from tests.unit.model_client import QUIET, ModelClient, ModelSocket
from tests.unit.model_node import ModelNode
from tests.unit.model_redis import FOREIGN, PAGE_BYTES, TERMINAL, ModelRedis

TOPIC, OTHER, JOB = "topic:a", "topic:b", "job:j"
CHANNELS = (TOPIC, OTHER, JOB)
QUEUE_BYTES = 700
LONGEST_EVENT = 400
"""An event as it is written, with the cursor of three channels in front, and a little more."""
REST_STEPS = 400
REST_ENOUGH = 10

channels = st.sampled_from(CHANNELS)
small = st.integers(0, 4)
clients = st.integers(0, 3)


class Streams(RuleBasedStateMachine):
    @initialize(at_once=st.sampled_from([1, 2, 500]))
    def begin(self, at_once: int) -> None:
        self.redis = ModelRedis(CHANNELS)
        self.node = ModelNode(self.redis, queue_bytes=QUEUE_BYTES, at_once=at_once)
        watched = [(TOPIC,), (TOPIC, JOB), (OTHER, TOPIC, JOB), (JOB,)]
        self.clients = [ModelClient(self.redis, names) for names in watched]
        self.tasks: dict[int, asyncio.Task[None]] = {}

    def teardown(self) -> None:
        if hasattr(self, "node"):
            try:
                self.come_to_rest()
            finally:
                self.node.close()

    # Publishers and Redis ---

    @rule(name=channels, type=st.sampled_from(["tick", "tick", QUIET, FOREIGN]), number=st.integers(1, 12))
    def publish(self, name: str, type: str, number: int) -> None:
        for _ in range(number):
            self.redis.publish(name, type)

    @rule()
    def finish_the_job(self) -> None:
        self.redis.publish(JOB, TERMINAL)

    @rule(name=channels, keep=small)
    def trim(self, name: str, keep: int) -> None:
        self.redis.trim(name, keep)

    @rule(name=channels, number=st.integers(1, 4), refilled=small)
    def fail_over_without_the_newest(self, name: str, number: int, refilled: int) -> None:
        self.redis.lose_tail(name, number)
        for _ in range(refilled):
            self.redis.publish(name, "tick")

    @rule(name=channels)
    def lose_everything(self, name: str) -> None:
        self.redis.flush(name)

    # What reaches the node ---

    @rule(
        fates=st.lists(st.sampled_from(["heard", "heard", "heard", "lost", "twice", "late"]), max_size=20),
        written=st.booleans(),
    )
    def hear(self, fates: list[str], written: bool = True) -> None:
        """``written``: else something else happens while it is on its way to the streams."""
        now, rest = self.redis.pipe[: len(fates)], self.redis.pipe[len(fates) :]
        heard, late = [], []
        for message, fate in zip(now, fates, strict=False):
            heard += [message] * {"heard": 1, "twice": 2}.get(fate, 0)
            late += [message] if fate == "late" else []
        self.redis.pipe = rest + late
        self.node.hub.receive(heard)
        if written:
            self.node.turn()

    @rule()
    def lose_the_subscription(self) -> None:
        self.redis.pipe.clear()
        self.node.reconciler.suspect_all()
        self.node.turn()

    @rule(fails=st.sampled_from([False] * 7 + [True]))
    def answer(self, fails: bool) -> None:
        self.node.store.fail() if fails else self.node.store.step()
        self.node.turn()

    @rule()
    def answer_for_a_while(self) -> None:
        for _ in range(6):
            self.answer(fails=False)

    @rule()
    def hear_everything(self) -> None:
        self.hear(["heard"] * len(self.redis.pipe))

    @rule(seconds=st.sampled_from([0.2, 1.0, 6.0, 25.0]))
    def pass_time(self, seconds: float) -> None:
        self.node.pass_time(seconds)

    # Clients ---

    @rule(
        number=clients,
        room=st.sampled_from([0, 500, 100_000]),
        chunked=st.booleans(),
        cursor=st.sampled_from(["own", "own", "own", "older", "rubbish", "foreign"]),
        back=small,
    )
    def connect(self, number: int, room: int, chunked: bool, cursor: str, back: int) -> None:
        client = self.clients[number]
        if client.socket is None:
            if cursor == "older":
                client.go_back(back)
            bad = {"rubbish": "x.y,\0", "foreign": "AAAAAAAA.abcdefgh.3.000001"}
            self._connect(number, ModelSocket(room, chunked), bad.get(cursor))

    def _connect(self, number: int, socket: ModelSocket, bad_cursor: str | None = None) -> None:
        client = self.clients[number]
        self.tasks[number] = self.node.open(client.channels, client.begin(socket, bad_cursor), socket)
        self.node.turn()

    @rule(number=clients, events=small)
    def read(self, number: int, events: int) -> None:
        if self.clients[number].socket is not None:
            self.clients[number].read(events)

    @rule(number=clients)
    def take_what_was_written(self, number: int) -> None:
        socket = self.clients[number].socket
        if socket is not None:
            socket.drain()
            self.node.turn()

    @rule(number=clients, events=small)
    def cut(self, number: int, events: int) -> None:
        if self.clients[number].socket is not None:
            self.clients[number].cut(events)
            self.node.turn()

    # What always holds ---

    @invariant()
    def nothing_is_unbounded(self) -> None:
        if not hasattr(self, "node"):
            return
        for connection in self.node.hub.connections.values():
            assert connection.queued <= QUEUE_BYTES + 3 * (PAGE_BYTES + LONGEST_EVENT)

    @invariant()
    def every_stream_is_live_or_behind_on_each_of_its_channels(self) -> None:
        if not hasattr(self, "node"):
            return
        for connection in self.node.hub.connections.values():
            expected = State.BEHIND if connection.behind else State.LIVE
            assert connection.state is (expected if connection.closing is None else State.ENDING)
            for channel in connection.channels:
                live = connection in self.node.hub.members.of(channel).get(connection.encoder, ())
                assert live != (channel in connection.behind)
                assert self.node.hub.channels.get(channel.name) is channel

    @invariant()
    def streams_that_have_ended_are_over(self) -> None:
        if not hasattr(self, "node"):
            return
        for number, task in list(self.tasks.items()):
            if task.done():
                self._over(number, task)

    def _over(self, number: int, task: asyncio.Task[None]) -> None:
        task.result()
        client = self.clients[number]
        del self.tasks[number]
        if client.socket is not None:
            client.read()
            if client.socket.statuses == [204]:
                client.told_all = True
                client.check_complete()
            client.leave()

    # The end ---

    def come_to_rest(self) -> None:
        """Faults end, everybody is connected: everybody gets everything."""
        self.redis.come_back()
        self.lose_the_subscription()
        idle = 0
        for step in range(REST_STEPS):
            self._help(step)
            self.streams_that_have_ended_are_over()
            idle = 0 if self.node.store.busy or step < 40 else idle + 1
            if idle > REST_ENOUGH:
                break
        for client in self.clients:
            if client.socket is not None:
                client.read()
            client.check_complete()
        assert not self.node.store.busy, "the node does not come to rest"

    def _help(self, step: int) -> None:
        for number, client in enumerate(self.clients):
            if client.socket is None and not client.told_all:
                self._connect(number, ModelSocket(100_000, True))
            elif client.socket is not None:
                client.socket.drain()
        self.node.hub.receive(self.redis.pipe)
        self.redis.pipe = []
        self.node.store.step()
        self.node.turn()
        if step in (9, 19, 29, 39):
            self.node.pass_time(21.0)  # long enough for quiet channels to be compared


TestEveryClientGetsEverythingOrIsReset: Any = Streams.TestCase
TestEveryClientGetsEverythingOrIsReset.settings = settings(max_examples=100, stateful_step_count=40)

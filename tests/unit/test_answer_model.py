"""Streams of an answer against a model of Redis: whatever is lost, late, doubled or cut off, each reader has the answer
word for word and once, or a stream that is broken off."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.dialects.ai_encoder import AnswerEncoder
from publisher import channels as names
from tests.unit.answer_world import CHANNEL
from tests.unit.model_answer import STORY, AnswerClient, AnswerRedis
from tests.unit.model_client import ModelSocket
from tests.unit.model_node import ModelNode

REST_STEPS = 400
REST_ENOUGH = 10

small = st.integers(0, 4)
clients = st.integers(0, 2)
cursors = st.sampled_from(["own", "own", "none", "older", "odd"])


class Answers(RuleBasedStateMachine):
    @initialize(at_once=st.sampled_from([1, 500]))
    def begin(self, at_once: int) -> None:
        self.redis = AnswerRedis()
        self.node = ModelNode(self.redis, queue_bytes=700, encoder=AnswerEncoder, at_once=at_once)
        self.clients = [AnswerClient() for _ in range(3)]
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self.written_again = False

    def teardown(self) -> None:
        if hasattr(self, "node"):
            try:
                self.come_to_rest()
            finally:
                self.node.close()

    # The worker and Redis ---

    @rule(number=st.integers(1, 9))
    def write(self, number: int) -> None:
        self.redis.write(number)

    @rule(type=st.sampled_from(["tick", names.PROGRESS]))
    def say_something_else(self, type: str) -> None:
        self.redis.publish(CHANNEL, type)

    @rule()
    def complete(self) -> None:
        self.redis.write(len(STORY.events))
        self.redis.publish(CHANNEL, names.COMPLETED)

    @rule(keep=small)
    def trim(self, keep: int) -> None:
        self.redis.trim(CHANNEL, keep)

    @rule(number=st.integers(1, 4), again=small)
    def fail_over_without_the_newest(self, number: int, again: int) -> None:
        self.redis.lose_tail(CHANNEL, number)
        self.redis.write(again)
        self.written_again = True

    @rule(again=st.integers(0, 20))
    def lose_everything(self, again: int) -> None:
        self.redis.flush(CHANNEL)
        self.redis.write(again)
        self.written_again = True

    # What reaches the node ---

    @rule(
        fates=st.lists(st.sampled_from(["heard", "heard", "heard", "lost", "twice"]), max_size=20),
        written=st.booleans(),
    )
    def hear(self, fates: list[str], written: bool = True) -> None:
        """``written``: else something else happens while it is on its way to the streams."""
        now, self.redis.pipe = self.redis.pipe[: len(fates)], self.redis.pipe[len(fates) :]
        heard = [
            each for each, fate in zip(now, fates, strict=False) for _ in range({"lost": 0, "twice": 2}.get(fate, 1))
        ]
        self.node.hub.receive(heard)
        if written:
            self.node.turn()

    @rule()
    def hear_everything(self) -> None:
        self.hear(["heard"] * len(self.redis.pipe))

    @rule(fails=st.sampled_from([False] * 7 + [True]))
    def answer(self, fails: bool) -> None:
        self.node.store.fail() if fails else self.node.store.step()
        self.node.turn()

    @rule()
    def answer_for_a_while(self) -> None:
        for _ in range(6):
            self.answer(fails=False)

    @rule(seconds=st.sampled_from([0.2, 1.0, 25.0]))
    def pass_time(self, seconds: float) -> None:
        self.node.pass_time(seconds)

    # Readers ---

    @rule(
        number=clients,
        room=st.sampled_from([0, 500, 100_000]),
        whose=cursors,
    )
    def connect(self, number: int, room: int, whose: str) -> None:
        client = self.clients[number]
        if client.socket is None:
            older = client.cursors()[len(client.cursors()) // 2]
            self._connect(number, room, {"none": "", "older": older, "odd": "x.y,"}.get(whose))

    def _connect(self, number: int, room: int, cursor: str | None = None) -> None:
        socket = ModelSocket(room, chunked=True)
        self.tasks[number] = self.node.open((CHANNEL,), self.clients[number].begin(socket, cursor), socket)
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
        socket = self.clients[number].socket
        if socket is not None:
            self.clients[number].read(events)
            socket.inbox.clear()
            socket.lose()
            self.node.turn()

    # What always holds ---

    @invariant()
    def who_is_live_shares_an_encoder_unless_some_was_written_again(self) -> None:
        """Who waits for what was lost has said more than who comes meanwhile, and goes on by itself."""
        if hasattr(self, "node"):
            channel = self.node.hub.channels.get(CHANNEL)
            live = self.node.hub.members.of(channel) if channel is not None else {}
            places = [each._told.place for each in live if isinstance(each, AnswerEncoder) and each._told is not None]
            whole = [each for each in live if isinstance(each, AnswerEncoder) and each._regained is None]
            assert len(places) == len(live) and (self.written_again or len(whole) <= 1)

    @invariant()
    def streams_that_have_ended_are_over(self) -> None:
        if hasattr(self, "node"):
            for number, task in list(self.tasks.items()):
                if task.done():
                    task.result()
                    del self.tasks[number]
                    if self.clients[number].socket is not None:
                        self.clients[number].leave()

    # The end ---

    def come_to_rest(self) -> None:
        """Faults end, the worker writes to its end: everybody who comes back reads it."""
        self.complete()
        self.redis.pipe.clear()
        self.node.reconciler.suspect_all()
        idle = 0
        for step in range(REST_STEPS):
            for number, client in enumerate(self.clients):
                if client.socket is None and not client.done:
                    self._connect(number, 100_000)
                elif client.socket is not None:
                    client.socket.drain()
            self.hear_everything()
            self.answer(fails=False)
            if step in (9, 19, 29, 39):
                self.node.pass_time(21.0)
            self.streams_that_have_ended_are_over()
            idle = 0 if self.node.store.busy or step < 40 else idle + 1
            if idle > REST_ENOUGH:
                break
        for client in self.clients:
            assert client.done and client.reader.parts == STORY.parts


TestEveryReaderHasEachWordOnce: Any = Answers.TestCase
TestEveryReaderHasEachWordOnce.settings = settings(max_examples=60, stateful_step_count=40)

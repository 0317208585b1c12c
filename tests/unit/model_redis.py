"""Redis as the node sees it, in memory: histories that can lose things, one read in flight, a pub/sub socket."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import orjson

from gateway.broker.script import Script
from gateway.broker.store import ScriptCall, Store
from gateway.exceptions import StoreDown
from publisher.channels import FINISHED, job_id_of
from publisher.envelope import START, Event, Position, encode

PAGE_BYTES: Final = 400
"""A page of the history, so small that a few events need several."""
TERMINAL: Final = "job.completed"
FOREIGN: Final = "foreign"
"""The type of events that are written in a version which the node cannot read."""
LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


@dataclass
class ModelChannel:
    """One channel's keys. ``past`` is how they were after each event: what a failover may bring back."""

    name: str
    top: Position = START
    log: list[Event] = field(default_factory=list)
    status: str = ""
    past: list[tuple[Position, list[Event], str]] = field(default_factory=list)
    damaged: bool = False

    @property
    def finished(self) -> bool:
        return self.status in FINISHED

    def state(self) -> dict[bytes, bytes]:
        """The job's hash; ``current`` says as of which event it is."""
        job_id = job_id_of(self.name)
        if not self.status or job_id is None:
            return {}
        values = {"job_id": job_id, "kind": "k", "status": self.status, "current": self.top.seq}
        return {name.encode(): orjson.dumps(value) for name, value in values.items()}


class ModelRedis:
    """Publishes as ``append.lua`` does; ``events`` knows every event that there ever was by its mark."""

    def __init__(self, names: Sequence[str]) -> None:
        self.channels = {name: ModelChannel(name) for name in names}
        self.events: dict[str, Event] = {}
        self.subscribed: set[str] = set()
        self.pipe: list[tuple[str, bytes]] = []
        self._marks = (f"{number:06d}" for number in count(1))
        self._epochs = (f"{LETTERS[number // 26]}{LETTERS[number % 26]}epochs" for number in count())
        self.come_back()

    def publish(self, name: str, type: str) -> None:
        """Append and announce. A finished job takes nothing more."""
        channel = self.channels[name]
        if channel.finished:
            return
        if channel.top == START and job_id_of(name) is not None and type != "job.created":
            self.publish(name, "job.created")
        epoch, seq, prev = channel.top
        if channel.top == START:
            epoch, channel.log = next(self._epochs), []
        mark = next(self._marks)
        event = Event(name, epoch, seq + 1, mark, prev, 0, type, self.data_of(channel, type, mark))
        channel.top = event.position
        channel.log = [*channel.log, event]
        if job_id_of(name) is not None:
            channel.status = "completed" if type == TERMINAL else "active"
        channel.past.append((channel.top, channel.log, channel.status))
        self.events[mark] = event
        channel.damaged = channel.damaged or type == FOREIGN
        if name in self.subscribed:
            self.pipe.append((name, _message(event)))

    def data_of(self, channel: ModelChannel, type: str, mark: str) -> bytes:
        """The data of the channel's next event."""
        return b'{"mark":"%b"}' % mark.encode()

    def state_of(self, channel: ModelChannel) -> dict[bytes, bytes]:
        """The hash of the channel's job, if it is one's."""
        return channel.state()

    # What can be lost ---

    def trim(self, name: str, keep: int) -> None:
        """The oldest events go; with nothing kept the log has expired."""
        channel = self.channels[name]
        channel.log = channel.log[len(channel.log) - min(keep, len(channel.log)) :]
        channel.damaged = True

    def lose_tail(self, name: str, number: int) -> None:
        """A failover to a replica that lacked the newest events: the same epoch issues their numbers again."""
        channel = self.channels[name]
        kept = channel.past[: len(channel.past) - number]
        if kept:
            channel.past = kept
            channel.top, channel.log, channel.status = kept[-1]
            channel.damaged = True

    def flush(self, name: str) -> None:
        """Everything is gone; a job's worker creates it again when it has more to say."""
        channel = self.channels[name]
        channel.top, channel.log, channel.status, channel.past = START, [], "", []
        channel.damaged = True

    def come_back(self) -> None:
        """Workers whose jobs are gone create them again."""
        for name, channel in self.channels.items():
            if channel.top == START and job_id_of(name) is not None:
                self.publish(name, "job.created")

    # What a client may know ---

    def quiet_between(self, older: str, newer: str, quiet: str) -> bool:
        """Whether the chain leads from one mark to another over nothing but events that are never shown."""
        while newer != older:
            event = self.events.get(newer)
            if event is None or event.type != quiet:
                return False
            newer = event.prev
        return True

    # What the node reads ---

    def reply(self, call: ScriptCall) -> list[Any]:
        """As ``read.lua`` answers."""
        keys, (after, _, what, _) = call
        channel = self.channels[keys[0].split("{")[1].split("}")[0]]
        messages: list[bytes] = []
        more, size = b"0", 0
        if after != "":
            for event in channel.log:
                if event.seq > int(after):
                    if size > PAGE_BYTES:
                        more = b"1"
                        break
                    messages.append(_message(event))
                    size += len(messages[-1]) + 32
        rest = [part for pair in self.state_of(channel).items() for part in pair] if what in ("state", "whole") else []
        epoch, seq, mark = channel.top
        return [epoch.encode(), b"%d" % seq, mark.encode(), messages, more, rest, 0]


def _message(event: Event) -> bytes:
    return encode(event).replace(b"1", b"2", 1) if event.type == FOREIGN else encode(event)


class ModelStore(Store):
    """The way to a :class:`ModelRedis`: each round trip waits until it is told to be executed, and to be answered."""

    def __init__(self, redis: ModelRedis) -> None:
        self.cluster = False
        self._redis = redis
        self._calls: Sequence[ScriptCall] = ()
        self._replies: list[Any] | None = None
        self._answer: asyncio.Future[list[Any]] | None = None

    async def run_many(self, script: Script, calls: Sequence[ScriptCall]) -> list[Any]:
        assert self._answer is None, "the history has one round trip at a time"
        self._calls, self._replies = calls, None
        self._answer = asyncio.get_running_loop().create_future()
        return await self._answer

    @property
    def busy(self) -> bool:
        return self._answer is not None

    def step(self) -> None:
        """The round trip that is under way goes on: first it is executed, then it is answered."""
        if self._answer is None:
            return
        if self._replies is None:
            self._replies = [self._redis.reply(call) for call in self._calls]
            return
        answer, self._answer = self._answer, None
        answer.set_result(self._replies)

    def fail(self) -> None:
        """The round trip that is under way fails."""
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.set_exception(StoreDown("Redis did not answer."))

"""An answer in the model of Redis, whose worker writes again what was lost, and a reader of it who believes nothing."""

from __future__ import annotations

import copy
from typing import Any, Final

import orjson

from publisher import channels as names
from publisher.envelope import NO_MARK
from tests.support.sse_parser import SseEvent
from tests.support.ui_message import MessageReader
from tests.unit.answer_world import CHANNEL, JOB_ID, author_of
from tests.unit.model_client import ModelSocket
from tests.unit.model_redis import ModelChannel, ModelRedis

_STEPS: Final[list[tuple[str, Any]]] = [
    *[("text", "a"), ("text", "b "), ("reasoning", "r"), ("part", {"type": "data-x", "data": 1}), ("text", "c")],
    *[("text", "d "), ("reasoning", "s"), ("reasoning", "t"), ("text", "é🙂")],
]
STORY: Final = author_of(_STEPS * 5)
"""What the worker has to say, always the same."""


class AnswerRedis(ModelRedis):
    """One answer. What was written at each event is known by its mark, so that what is lost goes with the events."""

    def __init__(self) -> None:
        self._written = {NO_MARK: 0}
        super().__init__([CHANNEL])

    @property
    def answer(self) -> ModelChannel:
        return self.channels[CHANNEL]

    @property
    def written(self) -> int:
        """How many pieces of the story are there."""
        return self._written[self.answer.top.mark]

    def write(self, number: int) -> None:
        """The worker writes on, or again."""
        for _ in range(number):
            if self.written < len(STORY.events):
                self.publish(CHANNEL, STORY.events[self.written][0])

    def publish(self, name: str, type: str) -> None:
        before = self._written[self.channels[name].top.mark]
        super().publish(name, type)
        adds = type in (names.TEXT, names.PART) and not self.channels[name].finished
        self._written.setdefault(self.channels[name].top.mark, before + adds)

    def data_of(self, channel: ModelChannel, type: str, mark: str) -> bytes:
        if type in (names.TEXT, names.PART):
            return orjson.dumps(STORY.events[self._written[channel.top.mark]][1])
        status = {names.COMPLETED: "completed"}.get(type, "active")
        return orjson.dumps({"job_id": JOB_ID, "status": status, "owner": None})

    def state_of(self, channel: ModelChannel) -> dict[bytes, bytes]:
        state = channel.state()
        if state:
            parts = orjson.dumps(STORY.states[self._written[channel.top.mark]])
            state |= {b"kind": b'"answer"', b"answer": parts[:-1] if parts != b"[]" else b""}
        return state


class AnswerClient:
    """Goes on with its cursor from what it had there. ``done``: it knows the end."""

    def __init__(self) -> None:
        self.socket: ModelSocket | None = None
        self.reader = MessageReader()
        self.cursor = ""
        self._known: dict[str, MessageReader] = {"": MessageReader()}
        self._first = True

    @property
    def done(self) -> bool:
        return "[DONE]" in self.reader.ends

    def begin(self, socket: ModelSocket, cursor: str | None = None) -> str:
        """Take a connection; returns the Last-Event-ID to send: its own, or another one that it has had, or rubbish."""
        self.socket, self._first = socket, True
        self.cursor = self.cursor if cursor is None else cursor
        self.reader = copy.deepcopy(self._known.get(self.cursor, MessageReader()))
        return self.cursor

    def cursors(self) -> list[str]:
        return list(self._known)

    def read(self, number: int = 1_000_000) -> None:
        assert self.socket is not None
        now, self.socket.inbox = self.socket.inbox[:number], self.socket.inbox[number:]
        for event in now:
            self._take(event)

    def _take(self, event: SseEvent) -> None:
        starts = event.data.startswith('{"type":"start"')
        assert starts is False or self._first, "a second start"
        assert starts or self.cursor in self._known or not self._first, "it begins in the middle"
        if starts:
            self.reader = MessageReader()
        self._first = False
        self.reader.read([event])
        self._check()
        if event.last_event_id not in ("", self.cursor):
            self.cursor = event.last_event_id
            self._known[self.cursor] = copy.deepcopy(self.reader)

    def _check(self) -> None:
        """What it has is a beginning of the story."""
        parts, story = self.reader.parts, STORY.parts[: len(self.reader.parts)]
        if not parts:
            return
        assert parts[:-1] == story[:-1]
        last, whole = parts[-1], story[-1]
        assert last == whole or (last["type"] == whole["type"] and whole["text"].startswith(last["text"]))

    def leave(self) -> None:
        """The connection has ended: everything that arrived is read; a clean end comes behind the answer's alone."""
        assert self.socket is not None
        self.read()
        if self.socket.ended or self.socket.statuses == [204]:
            assert self.done
        self.socket = None

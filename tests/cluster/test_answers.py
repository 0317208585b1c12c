"""An answer reaches its viewer whole, whatever is killed meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from publisher import AsyncPublisher
from tests.support.broker import Broker
from tests.support.eventsource import EventSource
from tests.support.node import Node
from tests.support.sse_parser import SseEvent
from tests.support.tokens import token

PREFIX = "answers"


class Page:
    """What a page shows of an answer: the state, and what was appended since."""

    def __init__(self) -> None:
        self.parts: list[dict[str, Any]] = []
        self.text = ""
        self.resets = 0

    def take(self, event: SseEvent) -> None:
        if event.type == "stream.reset":
            self.resets += 1
        if event.type == "job.state":
            state = json.loads(event.data)
            self.parts, self.text = state["parts"], state["text"]
        if event.type == "job.text":
            data = json.loads(event.data)
            assert data["offset"] == len(self.text), "text is missing, or came twice"
            self.text += data["text"]
            self._append("text", data["text"])
        if event.type == "job.part":
            data = json.loads(event.data)
            if data["part"]["type"] == "reasoning" and data["index"] < len(self.parts):
                self._append("reasoning", data["part"]["text"])
            else:
                assert data["index"] == len(self.parts), "a part is missing, or came twice"
                self.parts.append(data["part"])

    def _append(self, kind: str, words: str) -> None:
        if not self.parts or self.parts[-1]["type"] != kind:
            self.parts.append({"type": kind, "text": ""})
        self.parts[-1]["text"] += words


@pytest.fixture(params=[True, False], ids=["kept", "lost"])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """Whose data is there again after a crash, or gone."""
    with Broker(append_only=request.param) as running:
        yield running


@pytest.fixture
def nodes(broker: Broker) -> Iterator[list[Node]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Node(broker.url, PREFIX, RETRY_MS="50-100")) for _ in range(2)]


async def test_an_answer_survives_a_killed_node_and_a_crash_of_redis(
    nodes: list[Node], broker: Broker, request: pytest.FixtureRequest
) -> None:
    """A viewer that saw all of it has every piece once; one whose history was lost is told the whole anew."""
    page = Page()
    bases = [node.base for node in nodes]
    async with AsyncPublisher.from_url(broker.url, prefix=PREFIX) as pub:
        async with pub.answer("chat", owner="ann") as answer:
            async with EventSource(bases, "/v1/chats/chat/events", token=token("ann"), reconnect=True) as viewer:
                await viewer.next_of_type("job.state")
                for n in range(60):
                    await answer.reasoning(f"r{n} ")
                    await answer.text(f"t{n} ")
                    await answer.part({"type": "data-n", "data": n})
                    if n == 20:
                        await viewer.next_of_type("job.text")
                        nodes[0].kill()
                    if n == 40:
                        await viewer.wait_for(lambda: len(viewer.of_type("stream.open")) > 1, "the other node")
                        broker.kill()
                        broker.start()
                await answer.complete()
                await viewer.wait_stopped()
                job = await pub.get_job(answer.job_id)
        for event in viewer.events:
            page.take(event)
    assert job is not None and job.parts is not None
    assert job.text == "".join(f"t{n} " for n in range(60))
    assert [part["type"] for part in job.parts] == ["reasoning", "text", "data-n"] * 60
    assert page.parts == job.parts
    assert bool(page.resets) is ("lost" in request.node.name)

"""Answers on a real node: streams of a chat and of a job, and pieces from workers in other languages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
import redis

from publisher import JobCancelled, Publisher
from publisher.keys import answer_key
from tests.http.api import Api
from tests.support.answers import message
from tests.support.broker import Broker
from tests.support.eventsource import EventSource
from tests.support.http1 import request
from tests.support.node import Node
from tests.support.tokens import token

MIB = 1024 * 1024


def of_chat(node: Node, chat: str, sub: str = "ann", **more: Any) -> EventSource:
    return EventSource(node.base, f"/v1/chats/{chat}/events", token=token(sub), **more)


def of_job(node: Node, job_id: str, sub: str = "ann", **more: Any) -> EventSource:
    return EventSource(node.base, f"/v1/jobs/{job_id}/events", token=token(sub), **more)


def data(events: list[Any]) -> list[tuple[str, Any]]:
    return [(event.type, json.loads(event.data)) for event in events]


def told(source: EventSource) -> list[tuple[str, Any]]:
    return data(source.of_type("job.text", "job.part"))


async def test_a_viewer_who_comes_late_gets_the_whole_and_then_what_follows(
    node: Node, publisher: Publisher, name: str
) -> None:
    with publisher.answer(name, owner="ann") as answer:
        answer.text("Hel\r\nlo ✨ \u2028")
        answer.part({"type": "data-x", "data": {"a": 1}})
        answer.progress(10)
        async with of_chat(node, name) as late:
            state = json.loads((await late.next_of_type("job.state")).data)
            assert (state["text"], state["chat"], state["status"]) == ("Hel\r\nlo ✨ \u2028", name, "active")
            assert [part["type"] for part in state["parts"]] == ["text", "data-x"]
            answer.text("world")
            answer.complete()
            await late.next_of_type("job.completed")
            await late.wait_stopped()
    assert told(late) == [("job.text", {"job_id": answer.job_id, "text": "world", "offset": 11})]


async def test_every_resume_puts_the_same_message_together(node: Node, publisher: Publisher, name: str) -> None:
    with publisher.answer(name, owner="ann") as answer:
        async with of_job(node, answer.job_id) as whole:
            await whole.next_of_type("job.state")
            for n in range(20):
                answer.reasoning(f"r{n} ")
                answer.text(f"t{n} ")
                if n % 5 == 0:
                    answer.part({"type": "data-n", "data": n})
            answer.complete()
            await whole.next_of_type("job.completed")
    parts = publisher.get_job(answer.job_id).parts  # type: ignore[union-attr]
    events = told(whole)
    assert message(events) == parts
    for at in (0, len(events) // 2, len(events) - 1):
        place = whole.of_type("job.text", "job.part")[at].last_event_id
        async with of_chat(node, name, last_event_id=place) as rest:
            await rest.next_of_type("job.completed")
            await rest.wait_stopped()
        assert events[: at + 1] + told(rest) == events
    async with of_chat(node, name, last_event_id=whole.last_event_id) as nothing:
        await nothing.wait_stopped()
    assert nothing.status == 204


async def status(source: EventSource) -> int:
    async with source:
        await source.opened()
        return source.status


async def test_nothing_to_stream_is_204_alike(node: Node, publisher: Publisher, name: str) -> None:
    assert await status(of_chat(node, name)) == 204
    with publisher.answer(name, owner="ann") as answer:
        answer.text("a")
        assert await status(of_chat(node, name)) == 200
        assert await status(of_chat(node, name, "eve")) == 204
        assert await status(of_chat(node, f"{name}-other")) == 204
    assert await status(of_chat(node, name)) == 204
    assert await status(of_chat(node, name, last_event_id="rubbish")) == 204
    assert await status(EventSource(node.base, f"/v1/chats/{name}/events")) == 401
    for bad in ("%2E", "%2e%2e", "a%20b", "a%7Bb%7D", "x" * 201, "%ff", "a%0ab"):
        assert await status(of_chat(node, bad)) == 400, bad


@pytest.mark.parametrize("path", ["/v1/chats/{chat}/events", "/api/chat/{chat}/stream"])
async def test_head_says_of_a_chat_what_get_says(node: Node, publisher: Publisher, name: str, path: str) -> None:
    async def head(sub: str = "ann") -> int:
        headers = _bearer(sub) if sub else {}
        return (await request(node.base, path.replace("{chat}", name), method="HEAD", headers=headers)).status

    assert await head() == 204
    with publisher.answer(name, owner="ann") as answer:
        answer.text("a")
        assert (await head(), await head("eve"), await head("")) == (200, 204, 401)
    assert await head() == 204


def _bearer(sub: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(sub)}"}


async def test_a_newer_answer_takes_the_chat_and_the_older_ones_viewers_hear_its_end(
    node: Node, publisher: Publisher, name: str
) -> None:
    older = publisher.answer(name, owner="ann")
    older.text("I was")
    async with of_chat(node, name) as viewer:
        place = (await viewer.next_of_type("job.state")).last_event_id
        newer = publisher.create_answer(name, owner="ann")
        gone = json.loads((await viewer.next_of_type("job.cancelled")).data)
        assert gone["error"]["code"] == "superseded"
        await viewer.wait_stopped()
    async with of_chat(node, name, last_event_id=place) as rest:
        assert json.loads((await rest.next_of_type("job.cancelled")).data)["job_id"] == older.job_id
        await rest.wait_stopped()
    async with of_chat(node, name) as fresh:
        state = json.loads((await fresh.next_of_type("job.state")).data)
        assert (state["job_id"], state["status"], state["text"], state["parts"]) == (newer, "pending", "", [])
    with pytest.raises(JobCancelled):
        for _ in range(100_000):
            older.text("x")


async def test_a_worker_in_another_language_appends(api: Api, node: Node, publisher: Publisher, name: str) -> None:
    new = {"job_id": name, "kind": "answer", "owner": "ann", "chat": name}
    made = await api.publisher("POST", "/v1/jobs", new)
    assert (made.status, made.json["text"], made.json["chat"]) == (201, "", name)
    path = f"/v1/jobs/{name}"
    async with of_chat(node, name) as viewer:
        await viewer.next_of_type("job.state")
        first = await api.publisher("PATCH", path, {"text": "Hel"})
        assert first.status == 200 and "text" not in first.json and first.json["status"] == "active"
        for nothing in ({"text": ""}, {"reasoning": "", "text": ""}):  # as models say it now and then
            assert (await api.publisher("PATCH", path, nothing)).status == 200
        both = {"text": "lo", "reasoning": "hm", "part": {"type": "start-step"}}
        assert (await api.publisher("PATCH", path, both)).status == 200
        assert (await api.publisher("PATCH", path, {"text": "!", "status": "completed"})).status == 200
        await viewer.next_of_type("job.completed")
    read = await api.call("GET", path, sub="ann")
    assert message(told(viewer)) == read.json["parts"]
    assert read.json["text"] == "Hello!"
    for late in ("?", ""):
        assert (await api.publisher("PATCH", path, {"text": late})).status == 409
    listed = await api.call("GET", "/v1/jobs?limit=200", sub="ann")
    (job,) = [job for job in listed.json["jobs"] if job["job_id"] == name]
    assert "text" not in job and "parts" not in job and job["chat"] == name


BAD: dict[str, Any] = {
    "no text": {"text": 5},
    "no object": {"part": [1]},
    "a part without a type": {"part": {}},
    "an unknown part": {"part": {"type": "weather"}},
    "the node's own": {"part": {"type": "finish"}},
    "output of nothing": {"part": {"type": "tool-output-available", "toolCallId": "t", "output": 1}},
    "a prototype": {"part": {"type": "data-x", "data": {"__proto__": {}}}},
}


@pytest.mark.parametrize("change", list(BAD.values()), ids=list(BAD))
async def test_a_bad_piece_is_refused_and_appends_nothing(
    api: Api, publisher: Publisher, name: str, change: dict[str, Any]
) -> None:
    publisher.create_answer(name, owner="ann", job_id=name)
    refused = await api.publisher("PATCH", f"/v1/jobs/{name}", change)
    assert refused.status == 400, refused.body
    assert (await api.call("GET", f"/v1/jobs/{name}", sub="ann")).json["parts"] == []


async def test_bodies_that_hold_half_a_character_are_refused(api: Api, publisher: Publisher, name: str) -> None:
    publisher.create_answer(name, owner="ann", job_id=name)
    for body in (rb'{"text":"\ud83d"}', rb'{"part":{"type":"data-x","data":"\ude00"}}', b'{"text":"\xed\xa0\xbd"}'):
        refused = await api.publisher("PATCH", f"/v1/jobs/{name}", body=body)
        assert refused.status == 400


async def test_answers_that_may_not_be_written_say_so(api: Api, publisher: Publisher, name: str) -> None:
    with publisher.answer(name, owner="ann", job_id=name) as answer:
        answer.text("mine")
        held = await api.publisher("PATCH", f"/v1/jobs/{name}", {"text": "theirs"})
        assert held.status == 409 and "another worker" in held.sentence
    publisher.create_job(f"{name}-k", kind="k", owner="ann")
    assert (await api.publisher("PATCH", f"/v1/jobs/{name}-k", {"text": "x"})).status == 400
    publisher.create_answer(name, owner="ann", job_id=f"{name}-l")
    for _ in range(2):
        long = await api.publisher("PATCH", f"/v1/jobs/{name}-l", {"text": "x" * (MIB - 1000)})
    assert long.status == 413
    assert (await api.publisher("PATCH", f"/v1/jobs/{name}-l", {"text": "y" * 1000})).status == 200
    whole = {"kind": "answer", "owner": "ann", "chat": "c"}
    for lacks in ({**whole, "kind": "k"}, {"kind": "answer", "chat": "c"}, {"kind": "answer", "owner": "ann"}):
        made = await api.publisher("POST", "/v1/jobs", {"job_id": f"{name}-m", **lacks})
        assert made.status == 400


async def test_a_long_answer_reaches_a_slow_viewer_whole(
    start_node: Callable[..., Node], redis_url: str, prefix: str, unmeasured: None
) -> None:
    """The state that a stream begins with counts neither as an event nor towards the queue."""
    node = start_node(MAX_EVENT_BYTES=1000, QUEUE_BYTES=20_000)
    with Publisher.from_url(redis_url, prefix=prefix) as pub, pub.answer("c", owner="ann") as answer:
        answer.text("ü" * 450_000)
        answer.progress(1)
        async with of_chat(node, "c", receive_buffer=4096) as viewer:
            await viewer.opened()
            viewer.pause()
            for n in range(300):
                answer.part({"type": "data-n", "data": "x" * 400 + str(n)})
            viewer.resume()
            answer.complete()
            await viewer.next_of_type("job.completed")
        state = json.loads(viewer.of_type("job.state")[0].data)
        job = pub.get_job(answer.job_id)
        assert job is not None and job.parts is not None
        assert state["text"] == job.text
        assert not viewer.of_type("stream.reset")
        assert [each["part"] for _, each in told(viewer)] == job.parts[len(state["parts"]) :]


async def test_who_comes_back_gets_what_was_missed_without_the_whole_being_read(
    node: Node, publisher: Publisher, name: str, broker: Broker, http_prefix: str
) -> None:
    """A long answer costs a resume no more than a short one: it does not even notice that the whole is gone."""
    with publisher.answer(name, owner="ann") as answer:
        answer.text("x" * 1000)
        async with of_job(node, answer.job_id) as first:
            place = (await first.next_of_type("job.state")).last_event_id
        answer.text("and on")
        answer.progress(1)
        with redis.Redis.from_url(broker.url) as client:
            assert client.delete(answer_key(http_prefix, f"job:{answer.job_id}"))
        async with of_job(node, answer.job_id, last_event_id=place) as again:
            assert json.loads((await again.next_of_type("job.text")).data)["text"] == "and on"
        assert not again.of_type("job.state", "stream.reset")
        async with of_job(node, answer.job_id, last_event_id="rubbish") as reset:
            assert json.loads((await reset.next_of_type("job.state")).data)["text"] == ""


async def test_many_long_answers_are_read_a_few_at_a_time(node: Node, publisher: Publisher, name: str) -> None:
    for n in range(20):
        publisher.create_answer(f"{name}-{n}", owner="ann", job_id=f"{name}-{n}")
        publisher.update_job(f"{name}-{n}", text=f"{n}:" + "y" * 50_000)

    async def whole(n: int) -> str:
        async with of_chat(node, f"{name}-{n}") as viewer:
            return str(json.loads((await viewer.next_of_type("job.state")).data)["text"])

    texts = await asyncio.gather(*map(whole, range(20)))
    assert texts == [f"{n}:" + "y" * 50_000 for n in range(20)]

"""The dialect ``ai`` on a real node: what is told of an answer, to whom, and how a stream of it ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from publisher import Publisher
from tests.http.api import Api
from tests.support.eventsource import EventSource
from tests.support.http1 import request
from tests.support.node import Node
from tests.support.raw_peer import RawPeer, stream_request
from tests.support.tokens import token
from tests.support.ui_message import MessageReader

TOOL = {"toolCallId": "t1", "toolName": "weather"}


def stream(node: Node, chat: str, answer: str = "", sub: str = "ann", **more: Any) -> EventSource:
    query = f"?answer={answer}" if answer else ""
    return EventSource(node.base, f"/api/chat/{chat}/stream{query}", token=token(sub), **more)


def chunks(source: EventSource) -> list[Any]:
    return [event.data if event.data == "[DONE]" else json.loads(event.data) for event in source.events]


def message(*sources: EventSource) -> MessageReader:
    reader = MessageReader()
    for source in sources:
        reader.read(source.events)
    return reader


def says(text: str) -> Callable[[Any], bool]:
    return lambda event: text in event.data


async def test_a_page_that_comes_late_has_the_whole_at_once_and_then_what_follows(
    node: Node, publisher: Publisher, name: str
) -> None:
    with publisher.answer(name, owner="ann") as answer:
        for piece in ("Hel", "lo ✨", " \u2028"):
            answer.text(piece)
        answer.part({"type": "tool-input-available", **TOOL, "input": {"city": "Oslo"}})
        answer.progress(10)  # it is over only when what came before is in Redis
        async with stream(node, name) as late:
            await late.collect_until(says("Oslo"))
            answer.reasoning("why")
            answer.part({"type": "tool-output-available", "toolCallId": "t1", "output": 3})
            answer.text("end")
            answer.complete()
            await late.wait_stopped()
    assert late.exchanges[-1].ended == "end"
    assert late.response_headers["x-vercel-ai-ui-message-stream"] == "v1"
    assert chunks(late) == [
        {"type": "start", "messageId": answer.job_id},
        {"type": "text-start", "id": "0"},
        {"type": "text-delta", "id": "0", "delta": "Hello ✨ \u2028"},
        {"type": "text-end", "id": "0"},
        {"type": "tool-input-available", **TOOL, "input": {"city": "Oslo"}},
        {"type": "reasoning-start", "id": "2"},
        {"type": "reasoning-delta", "id": "2", "delta": "why"},
        {"type": "reasoning-end", "id": "2"},
        {"type": "tool-output-available", "toolCallId": "t1", "output": 3},
        {"type": "text-start", "id": "4"},
        {"type": "text-delta", "id": "4", "delta": "end"},
        {"type": "text-end", "id": "4"},
        {"type": "finish"},
        "[DONE]",
    ]
    assert all(event.type == "message" for event in late.events)
    body = b"".join(late.raw_chunks)
    assert "\u2028".encode() not in body
    numbered = [block for block in body.split(b"\n\n") if b"id: " in block]
    assert [b'"type":"tool-input' in numbered[0], b"[DONE]" in numbered[-1]] == [True, True]


@pytest.fixture
def written(publisher: Publisher, name: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An answer that is complete: its job id, and its parts. Its chat is ``name``."""
    with publisher.answer(name, owner="ann") as answer:
        for n in range(12):
            answer.reasoning(f"r{n} ")
            answer.progress(n)
            answer.text(f"t{n} ")
            answer.progress(n)
            answer.text("· ")
            if n % 5 == 0:
                answer.part({"type": "data-n", "data": n})
    job = publisher.get_job(answer.job_id)
    assert job is not None and job.parts is not None
    yield answer.job_id, job.parts


async def test_an_answer_that_is_named_is_served_after_its_end_and_its_chat_has_nothing_to_resume(
    node: Node, name: str, written: tuple[str, list[dict[str, Any]]]
) -> None:
    job_id, parts = written
    async with stream(node, name, job_id) as named:
        await named.wait_stopped()
    assert message(named).parts == parts and message(named).starts == [job_id]
    for source in (
        stream(node, name),
        stream(node, name, last_event_id=named.last_event_id),
        stream(node, name, job_id, last_event_id=named.last_event_id),
    ):
        async with source as nothing:
            await nothing.wait_stopped()
        assert (nothing.status, nothing.events) == (204, [])


async def test_a_cursor_goes_on_behind_each_chunk_that_has_one_without_a_start(
    node: Node, publisher: Publisher, name: str
) -> None:
    with publisher.answer(name, owner="ann") as answer:
        async with stream(node, name) as live:
            await live.next_event()
            for n in range(4):
                answer.reasoning(f"r{n} ")
                answer.text(f"t{n} ")
                answer.progress(n)
                answer.text("· ")
                answer.part({"type": "data-n", "data": n})
            answer.complete()
            await live.wait_stopped()
    whole = message(live)
    places = [
        at
        for at, event in enumerate(live.events[:-1])
        if event.last_event_id != live.events[at - 1].last_event_id and event.last_event_id
    ]
    assert len(places) > 10
    for at in places:
        async with stream(node, name, last_event_id=live.events[at].last_event_id) as rest:
            await rest.wait_stopped()
        reader = MessageReader().read(live.events[: at + 1]).read(rest.events)
        assert (reader.parts, reader.ends) == (whole.parts, whole.ends)


async def test_a_cursor_that_cannot_be_continued_begins_with_the_whole(
    node: Node, name: str, written: tuple[str, list[dict[str, Any]]]
) -> None:
    job_id, parts = written
    async with stream(node, name, job_id, last_event_id="nonsense") as again:
        await again.wait_stopped()
    assert (message(again).starts, message(again).parts) == ([job_id], parts)


async def test_an_answer_is_its_owners(node: Node, publisher: Publisher, name: str, api: Api) -> None:
    """A chat of the same id is another chat of another owner's, and nobody is told that there is one."""
    publisher.create_answer(name, owner="ann", job_id=f"{name}-a")
    publisher.create_job(f"{name}-j", kind="media", owner="ann")
    publisher.create_job(f"{name}-k", kind="answer", owner="ann")
    for path, sub, status in (
        (f"/api/chat/{name}/stream", "bob", 204),
        (f"/api/chat/{name}-none/stream", "ann", 204),
        (f"/api/chat/{name}/stream?answer={name}-a", "bob", 404),
        (f"/api/chat/{name}/stream?answer={name}-none", "ann", 404),
        (f"/api/chat/{name}/stream?answer={name}-j", "ann", 404),
        (f"/api/chat/{name}/stream?answer={name}-k", "ann", 404),
        (f"/api/chat/{name}-other/stream?answer={name}-a", "ann", 404),
        (f"/api/chat/{name}/stream?answer=", "ann", 400),
        ("/api/chat/a%7Bb/stream", "ann", 400),
        (f"/api/chat/{name}/stream", "", 401),
    ):
        headers = {"Authorization": f"Bearer {token(sub)}"} if sub else {}
        assert (await request(node.base, path, headers=headers)).status == status, path
    asked = await request(
        node.base,
        "/v1/tickets",
        method="POST",
        headers={"Authorization": f"Bearer {token('ann')}"},
        body=json.dumps({"channels": [f"job:{name}-a"]}).encode(),
    )
    ticket = json.loads(asked.body)["ticket"]
    async with EventSource(node.base, f"/api/chat/{name}/stream?answer={name}-a&ticket={ticket}") as redirected:
        assert json.loads((await redirected.next_event()).data) == {"type": "start", "messageId": f"{name}-a"}
    async with EventSource(
        node.base, f"/api/chat/{name}/stream?answer={name}-a", token=token("admin", scope="admin")
    ) as admin:
        assert json.loads((await admin.next_event()).data)["type"] == "start"


async def test_stop_cancels_what_is_being_written_and_nothing_else(node: Node, publisher: Publisher, name: str) -> None:
    async def stop(body: bytes = b"", sub: str = "ann", chat: str = name) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token(sub)}"}
        answer = await request(node.base, f"/api/chat/{chat}/stop", method="POST", headers=headers, body=body)
        return answer.status, json.loads(answer.body)

    job_id = publisher.create_answer(name, owner="ann")
    async with stream(node, name) as tab:
        await tab.next_event()
        for body in (b'{"activeStreamId":"another"}', b'{"activeStreamId":7}', b"[]", b"{"):
            status, _ = await stop(body)
            assert status == (200 if b"another" in body else 400)
        assert await stop(sub="bob") == (200, {"stopped": None})
        job = publisher.get_job(job_id)
        assert job is not None and job.status == "pending"
        assert await stop(b'{"activeStreamId":null,"more":1}') == (200, {"stopped": job_id})
        await tab.wait_stopped()
    assert chunks(tab)[1:] == [{"type": "abort"}, "[DONE]"]
    assert await stop(json.dumps({"activeStreamId": job_id}).encode()) == (200, {"stopped": None})


async def sent_away(node: Node, sub: str) -> None:
    headers = {"Authorization": f"Bearer {token('root', scope='admin')}"}
    assert (await request(node.base, f"/v1/clients/{sub}", method="DELETE", headers=headers)).status < 300


async def test_what_ends_before_the_answer_is_broken_off(node: Node, publisher: Publisher, name: str) -> None:
    """A clean end would pass for the answer's; over HTTP/1.0, where every end is clean, the connection is reset."""
    publisher.create_answer(name, owner=name)
    old_request = stream_request(f"/api/chat/{name}/stream", sub=name, version="1.0")
    async with stream(node, name, sub=name) as new, await RawPeer.ask(node.base, old_request) as old:
        await new.next_event()
        await old.read_until(b'"start"')
        await sent_away(node, name)
        await new.wait_stopped()
        await old.read_to_end()
        assert old.broken
    assert new.exchanges[-1].ended != "end"
    assert len(new.events) == 1


async def test_a_chat_is_refused_by_a_status_hears_comments_and_grows_old(
    publisher: Publisher, start_node: Callable[..., Node], redis_url: str, prefix: str
) -> None:
    """Whatever it accepts and asks for: any other data, and any clean end, would be taken for the answer's."""
    node = start_node(MAX_CONNECTIONS_PER_USER=1, HEARTBEAT_S=0.3, MAX_STREAM_AGE_S=1)
    with Publisher.from_url(redis_url, prefix=prefix) as pub, pub.answer("c", owner="ann") as answer:
        async with EventSource(
            node.base, "/api/chat/c/stream?heartbeat=event&envelope=1", token=token("ann")
        ) as source:
            await source.next_event()
            async with EventSource(node.base, "/api/chat/c/stream", token=token("ann")) as refused:
                await refused.wait_stopped()
            assert (refused.status, "retry-after" in refused.response_headers) == (429, True)
            await source.wait_for(lambda: source.comments.count(" heartbeat") > 5, "heartbeats past the greatest age")
            answer.text("still here")
            answer.complete()
            await source.wait_stopped()
    assert (message(source).text, message(source).ends[-1]) == ("still here", "[DONE]")

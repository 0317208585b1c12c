"""Answers for ``useChat`` while nodes and Redis come and go: each word once, or a stream that is broken off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from redis.asyncio import Redis

from publisher import Publisher
from tests.cluster.test_drain import wait_for_503
from tests.support.broker import Broker
from tests.support.eventsource import EventSource
from tests.support.meter import Meter
from tests.support.node import Node
from tests.support.tokens import token
from tests.support.ui_message import MessageReader
from tests.support.waiting import until

OPEN: dict[str, Any] = {"MAX_CONNECTIONS_PER_USER": 0, "CONNECT_RATE_PER_S": 0}
PATH = "/api/chat/c/stream"
VIEWERS = 1000


def viewer(*bases: str, path: str = PATH, **more: Any) -> EventSource:
    return EventSource(list(bases), path, token=token("ann"), **more)


def read(source: EventSource) -> MessageReader:
    return MessageReader().read(source.events)


def has(source: EventSource, text: str) -> Callable[[], bool]:
    return lambda: read(source).text == text


async def test_over_a_killed_node_each_word_comes_once(
    redis_url: str, prefix: str, start_node: Callable[..., Node]
) -> None:
    """A client with a cursor goes on at the other node; one without, as ``useChat``, is told the whole anew."""
    nodes = [start_node(RETRY_MS="20-60"), start_node(RETRY_MS="20-60")]
    bases = [node.base for node in nodes]
    with Publisher.from_url(redis_url, prefix=prefix) as pub, pub.answer("c", owner="ann") as answer:
        async with viewer(*bases, reconnect=True) as resuming, viewer(bases[0]) as simple:
            answer.text("one ")
            for source in (resuming, simple):
                await source.wait_for(has(source, "one "), "the first word")
            nodes[0].kill()
            await simple.wait_stopped()
            assert simple.exchanges[-1].ended != "end"
            answer.text("two ")
            async with viewer(bases[1]) as again:
                await resuming.wait_for(has(resuming, "one two "), "the second word")
                answer.text("three")
                answer.complete()
                await again.wait_stopped()
                await resuming.wait_for(lambda: read(resuming).ends, "the end")
    for source in (resuming, again):
        assert (read(source).text, read(source).starts) == ("one two three", [answer.job_id])
    assert [exchange.status for exchange in resuming.exchanges[:2]] == [200, 200]


async def test_a_drain_lets_answers_go_last_and_breaks_them_off(
    redis_url: str, prefix: str, start_node: Callable[..., Node]
) -> None:
    """A new one is refused by a status, also where it says that it accepts event streams."""
    node = start_node(DRAIN_S=3, **OPEN)
    with Publisher.from_url(redis_url, prefix=prefix) as pub:
        job_id = pub.create_answer("c", owner="ann")
        async with viewer(node.base) as late, viewer(node.base, path=f"/v1/jobs/{job_id}/events") as early:
            await late.next_event()
            await early.next_event()
            node.terminate()
            await asyncio.to_thread(wait_for_503, node)
            async with viewer(node.base) as refused:
                await refused.wait_stopped()
            assert (refused.status, "retry-after" in refused.response_headers) == (503, True)
            await early.wait_stopped()
            assert not late.stopped.is_set()
            await late.wait_stopped()
            assert await asyncio.to_thread(node.wait) == 0
    assert early.exchanges[-1].ended == "end"
    assert late.exchanges[-1].ended != "end"
    assert len(late.events) == 1


async def test_what_redis_lost_is_not_told_twice(own_broker: Broker, prefix: str) -> None:
    """Its worker writes the answer again, and the stream goes on behind what it has told."""
    with Node(own_broker.url, prefix, **OPEN) as node:
        with Publisher.from_url(own_broker.url, prefix=prefix) as pub, pub.answer("c", owner="ann") as answer:
            written = ""
            async with viewer(node.base) as live:
                for turn in range(3):
                    answer.reasoning(f"thought {turn}")
                    written += f"word {turn} "
                    answer.text(f"word {turn} ")
                    await live.wait_for(has(live, written), "all that was written")
                    async with Redis.from_url(own_broker.url) as client:
                        await client.flushall()
                answer.text("end")
                answer.complete()
                await live.wait_stopped()
    assert read(live).text == written + "end"
    assert [part["type"] for part in read(live).parts] == ["reasoning", "text"] * 3
    assert (read(live).ends[-1], live.exchanges[-1].ended) == ("[DONE]", "end")


@pytest.mark.parametrize("path", ["/v1/chats/c/events", PATH])
async def test_who_comes_back_to_a_chat_that_redis_lost_waits_for_its_worker(
    own_broker: Broker, prefix: str, path: str
) -> None:
    """As one does who comes back to a job: 204 would stop it for good."""
    with Node(own_broker.url, prefix, JOB_WAIT_S=60, **OPEN) as node:
        with Publisher.from_url(own_broker.url, prefix=prefix) as pub, pub.answer("c", owner="ann") as answer:
            answer.text("one ")
            async with viewer(node.base, path=path, reconnect=True) as live:
                await live.wait_for(lambda: "one " in str(live.events), "the first word")
                async with Redis.from_url(own_broker.url) as client:
                    await client.flushall()
                    await client.config_resetstat()
                    live.drop()

                    async def looked() -> bool:
                        stats = await client.info("commandstats")
                        return any(name in stats for name in ("cmdstat_zrevrange", "cmdstat_zrange"))

                    await until(looked, "the node to look for the chat")
                answer.text("two")
                answer.complete()
                await live.wait_stopped()
    assert live.exchanges[-1].status == 204 and live.exchanges[-2].status == 200
    if path == PATH:  # the message is told from its start
        begun = max(n for n, event in enumerate(live.events) if '"type":"start"' in event.data)
        assert MessageReader().read(live.events[begun:]).text == "one two"
    else:
        assert live.of_type("stream.reset") and "one two" in live.of_type("job.state")[-1].json()["text"] + "two"


async def test_who_has_seen_nothing_of_a_chat_does_not_wait(redis_url: str, prefix: str, start_node: Any) -> None:
    async with viewer(start_node(JOB_WAIT_S=60).base) as live:
        await live.wait_stopped()
    assert live.exchanges[-1].status == 204


async def test_another_answer_in_the_place_of_a_lost_one_breaks_the_stream_off(own_broker: Broker, prefix: str) -> None:
    with Node(own_broker.url, prefix, **OPEN) as node, Publisher.from_url(own_broker.url, prefix=prefix) as pub:
        pub.create_answer("c", owner="ann", job_id="a1")
        pub.update_job("a1", status="active")
        pub.update_job("a1", text="Hello")
        async with viewer(node.base) as live:
            await live.wait_for(has(live, "Hello"), "the first answer")
            async with Redis.from_url(own_broker.url) as client:
                await client.flushall()
            pub.create_answer("c", owner="ann", job_id="a1")
            pub.update_job("a1", status="active")
            pub.update_job("a1", text="Good bye")
            await live.wait_stopped()
        assert (read(live).text, read(live).ends) == ("Hello", [])
        assert live.exchanges[-1].ended != "end"


async def test_a_thousand_viewers_of_one_answer_cost_one_read(own_broker: Broker, prefix: str) -> None:
    """The first one's; they all read the same, those that come while it is under way as those that come later."""
    with Node(own_broker.url, prefix, **OPEN) as node:
        with Publisher.from_url(own_broker.url, prefix=prefix) as pub, pub.answer("c", owner="ann") as answer:
            for n in range(50):
                answer.text(f"{n} ")
            answer.progress(1)
            path = f"{PATH}?answer={answer.job_id}"
            before = await reads(own_broker)
            async with AsyncExitStack() as stack:
                crowd = [await stack.enter_async_context(viewer(node.base, path=path)) for _ in range(VIEWERS)]
                for source in crowd:
                    await source.wait_for(lambda s=source: len(s.events) == 3, "the answer so far")  # type: ignore[misc]
                assert await reads(own_broker) - before <= 2
                answer.text("end")
                answer.complete()
                for source in crowd:
                    await source.wait_stopped()
    said = {tuple(event.data for event in source.events) for source in crowd}
    assert len(said) == 1
    assert read(crowd[0]).text == "".join(f"{n} " for n in range(50)) + "end"


async def reads(broker: Broker) -> int:
    """How often the text and parts of an answer were read; scripts' commands count too."""
    async with Redis.from_url(broker.url) as client:
        stats = await client.info("commandstats")
    return int(stats.get("cmdstat_get", {}).get("calls", 0))


@pytest.mark.parametrize("kept", [500, 20])
async def test_a_reader_that_stops_for_a_while_gets_each_word_once(
    kept: int, redis_url: str, prefix: str, start_node: Callable[..., Node]
) -> None:
    """From the history, and where that no longer has all of it, from what the answer has become."""
    node = start_node(QUEUE_BYTES=20_000, MAX_EVENT_BYTES=10_000, **OPEN)
    pieces = [f"{n} ".ljust(3000, "-") for n in range(200)]
    with Publisher.from_url(redis_url, prefix=prefix, history_events=kept) as pub:
        job_id = pub.create_answer("c", owner="ann")
        pub.update_job(job_id, status="active")
        async with viewer(node.base, receive_buffer=4096) as slow, viewer(node.base) as quick:
            await slow.next_event()
            slow.pause()
            for piece in pieces:
                await asyncio.to_thread(pub.update_job, job_id, text=piece, part={"type": "data-n", "data": piece[:4]})
            await quick.wait_for(lambda: len(quick.events) > 4 * len(pieces), "all of it")
            slow.resume()
            await slow.wait_for(lambda: slow.events[-1].data == quick.events[-1].data, "all of it")
            await asyncio.to_thread(pub.update_job, job_id, text="end", status="completed")
            for source in (slow, quick):
                await source.wait_stopped()
        resets = await Meter(node).figure("resets_total", reason="history_trimmed")
    assert read(slow).text == read(quick).text == "".join(pieces) + "end"
    assert read(slow).parts == read(quick).parts
    assert bool(resets) is (kept < len(pieces))

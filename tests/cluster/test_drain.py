"""A node that is told to stop lets its streams go in time, and ends by itself with code 0."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from publisher import Publisher
from tests.support.eventsource import EventSource
from tests.support.http1 import request
from tests.support.meter import Meter
from tests.support.node import Node
from tests.support.tokens import token
from tests.support.waiting import wait_until


def _reader() -> str:
    return token(channels=["topic:*"])


OPEN = {"MAX_CONNECTIONS_PER_USER": 0, "CONNECT_RATE_PER_S": 0}


async def test_200_streams_are_let_go_and_the_process_ends_with_0(
    start_node: Callable[..., Node],
) -> None:
    """Each is told why and when to come back. While it lasts, the node says that it is not ready."""
    node = start_node(DRAIN_S=3, **OPEN)
    async with AsyncExitStack() as stack:
        sources = [
            await stack.enter_async_context(EventSource(node.base, f"/v1/events?channel=topic:{n}", token=_reader()))
            for n in range(200)
        ]
        for source in sources:
            await source.next_of_type("stream.open")
        node.terminate()
        await sources[0].wait_stopped()
        assert node.readyz() == 503
        for source in sources:
            await source.wait_stopped()
            last = source.events[-1]
            assert last.type == "stream.close"
            assert last.json()["reason"] == "draining" and last.json()["reconnect"] is True
            assert source.exchanges[-1].ended == "end"
        assert await asyncio.to_thread(node.wait) == 0
    assert "Traceback" not in node.log and "ERROR" not in node.log


async def test_a_draining_node_refuses_new_streams_softly(start_node: Callable[..., Node]) -> None:
    """An EventSource gets 200 and a retry, or it would die for good; a fetch gets 503."""
    node = start_node(DRAIN_S=20, **OPEN)
    path = "/v1/events?channel=topic:a"
    async with AsyncExitStack() as stack:
        for _ in range(2):
            source = await stack.enter_async_context(EventSource(node.base, path, token=_reader()))
            await source.next_of_type("stream.open")
        node.terminate()
        await asyncio.to_thread(wait_for_503, node)
        async with EventSource(node.base, path, token=_reader()) as refused:
            closing = await refused.next_event()
            assert closing.type == "stream.close" and closing.json()["reason"] == "draining"
            assert refused.retry_ms is not None and 5000 <= refused.retry_ms <= 30000
            await refused.wait_stopped()
        async with EventSource(node.base, path, token=_reader(), headers={"Accept": "*/*"}) as fetched:
            await fetched.wait_stopped()
            assert fetched.status == 503 and "retry-after" in fetched.response_headers
        head = await request(node.base, path, method="HEAD", headers={"Authorization": f"Bearer {_reader()}"})
        assert (head.status, head.body) == (503, b"")
        node.terminate()  # a second signal cuts the drain short
        assert await asyncio.to_thread(node.wait) == 0


async def test_who_waits_for_a_job_is_sent_to_another_node(start_node: Callable[..., Node]) -> None:
    node = start_node(JOB_WAIT_S=30, **OPEN)
    async with EventSource(node.base, "/v1/jobs/j1/events", token=token()) as waiting:
        await Meter(node).wait_for("channels", 1)
        node.terminate()
        closing = await waiting.next_event()
        assert closing.type == "stream.close" and closing.json()["reason"] == "draining"
        await waiting.wait_stopped()
        assert await asyncio.to_thread(node.wait) == 0
    assert "Traceback" not in node.log and " error " not in node.log


def wait_for_503(node: Node) -> None:
    wait_until(lambda: node.readyz() == 503, "the drain to begin")


async def test_streams_whose_clients_take_any_end_as_final_go_last(
    redis_url: str, prefix: str, start_node: Callable[..., Node]
) -> None:
    node = start_node(DRAIN_S=2, **OPEN)
    with Publisher.from_url(redis_url, prefix=prefix) as pub:
        pub.create_job("j1", kind="character", owner="user-1")
        async with AsyncExitStack() as stack:
            late = await stack.enter_async_context(
                EventSource(node.base, "/api/generation?sessionId=j1", token=token())
            )
            early = await stack.enter_async_context(EventSource(node.base, "/v1/jobs/j1/events", token=token()))
            await late.next_event()
            await early.next_event()
            node.terminate()
            await early.wait_stopped()
            assert not late.stopped.is_set()
            await late.wait_stopped()
            assert await asyncio.to_thread(node.wait) == 0

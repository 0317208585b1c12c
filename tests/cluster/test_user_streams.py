"""All jobs of one owner on one stream: many, with large states, told at the reader's pace."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
import redis

from publisher import Publisher
from publisher.keys import channel_keys
from tests.cluster.memory import rss_bytes
from tests.support.broker import Broker
from tests.support.eventsource import EventSource
from tests.support.node import Node
from tests.support.tokens import token


def _ann() -> str:
    return token("ann")


JOBS, BYTES = 40, 200_000
NAMES = [f"j{number}" for number in range(JOBS)]


@pytest.fixture
def pub(redis_url: str, prefix: str) -> Iterator[Publisher]:
    with Publisher.from_url(redis_url, prefix=prefix) as running:
        yield running


def told(source: EventSource) -> list[str]:
    return [json.loads(event.data)["job_id"] for event in source.events if event.type == "job.state"]


@pytest.fixture
def large_jobs(pub: Publisher) -> None:
    for name in NAMES:
        pub.create_job(name, kind="media", owner="ann", meta={"text": "x" * BYTES})
    pub.update_job("j0", status="completed", result={"text": "x" * BYTES})


@pytest.mark.usefixtures("large_jobs")
async def test_a_fresh_stream_tells_the_unfinished_ones_and_goes_live(
    pub: Publisher, start_node: Callable[..., Node]
) -> None:
    async with EventSource(start_node().base, "/v1/jobs/events", token=_ann()) as source:
        await source.collect_until(lambda event: event.type == "job.state" and NAMES[-1] in event.data)
        assert told(source) == NAMES[1:]
        pub.update_job("j1", progress=50)
        assert json.loads((await source.next_of_type("job.progress")).data)["job_id"] == "j1"


@pytest.mark.usefixtures("large_jobs")
async def test_a_bad_cursor_brings_all_of_them(pub: Publisher, start_node: Callable[..., Node]) -> None:
    async with EventSource(start_node().base, "/v1/jobs/events?lastEventId=garbage", token=_ann()) as source:
        await source.next_of_type("stream.reset")
        await source.collect_until(lambda event: event.type == "job.state" and NAMES[-1] in event.data)
        assert told(source) == NAMES
        pub.update_job("j1", progress=50)
        await source.next_of_type("job.progress")


@pytest.mark.usefixtures("large_jobs")
async def test_who_is_cut_off_in_the_middle_is_told_all_of_it_again(
    pub: Publisher, start_node: Callable[..., Node]
) -> None:
    """On another node, from the cursor of the middle."""
    one, other = start_node(), start_node()
    async with EventSource(one.base, "/v1/jobs/events", token=_ann()) as source:
        await source.collect_until(lambda event: event.type == "job.state" and NAMES[9] in event.data)
        cursor = source.last_event_id
    async with EventSource(other.base, "/v1/jobs/events", token=_ann(), last_event_id=cursor) as source:
        await source.collect_until(lambda event: event.type == "job.state" and NAMES[-1] in event.data)
        assert told(source) == NAMES[1:]
        done = source.last_event_id
    async with EventSource(one.base, "/v1/jobs/events", token=_ann(), last_event_id=done) as source:
        await source.next_of_type("stream.open")
        pub.update_job("j1", progress=50)
        await source.next_of_type("job.progress")
        assert told(source) == []


@pytest.mark.usefixtures("large_jobs")
async def test_live_streams_are_told_all_of_them_after_a_loss(
    redis_url: str, prefix: str, pub: Publisher, start_node: Callable[..., Node]
) -> None:
    async with EventSource(start_node().base, "/v1/jobs/events", token=_ann()) as source:
        await source.collect_until(lambda event: event.type == "job.state" and NAMES[-1] in event.data)
        before = len(source.events)
        keys = channel_keys(prefix, "user:ann")
        with redis.Redis.from_url(redis_url) as client:
            client.delete(keys.log, keys.meta)
        pub.update_job("j1", progress=50)
        await source.next_of_type("stream.reset")
        await source.collect_until(lambda event: event.type == "job.state" and NAMES[-1] in event.data)
        again = [json.loads(event.data)["job_id"] for event in source.events[before:] if event.type == "job.state"]
        assert again == NAMES
        pub.update_job("j2", progress=60)
        await source.collect_until(lambda event: event.type == "job.progress" and '"j2"' in event.data)


async def test_readers_that_do_not_read_hold_little(own_broker: Broker, prefix: str) -> None:
    """Ten of them, who would be told 8 MB each, cost the node less than two of these answers."""
    with Node(own_broker.url, prefix) as node, Publisher.from_url(own_broker.url, prefix=prefix) as pub:
        for name in NAMES:
            pub.create_job(name, kind="media", owner="ann", meta={"text": "x" * BYTES})
        async with EventSource(node.base, "/v1/jobs/events?lastEventId=x", token=_ann()) as warm:
            await warm.collect_until(lambda event: event.type == "job.state" and NAMES[-1] in event.data)
        before = rss_bytes(node)
        sources = [
            EventSource(node.base, "/v1/jobs/events?lastEventId=garbage", token=_ann(), receive_buffer=4096)
            for _ in range(10)
        ]
        for source in sources:
            await source.__aenter__()
            await source.next_of_type("stream.reset")
            source.pause()
        try:
            with Publisher.from_url(own_broker.url, prefix=prefix) as other:
                async with EventSource(node.base, "/v1/events?channel=client:ann", token=_ann()) as live:
                    await live.next_of_type("stream.open")
                    other.send("ann", "ping", 1)
                    await live.next_of_type("ping")
            assert rss_bytes(node) - before < 2 * JOBS * BYTES
        finally:
            for source in sources:
                await source.close()

"""``?last=N`` begins a stream in the history, as if its client had been there."""

from __future__ import annotations

from collections.abc import Callable

import redis

from publisher import Publisher
from publisher.keys import channel_keys
from tests.support.eventsource import EventSource
from tests.support.http1 import request
from tests.support.node import Node
from tests.support.tokens import token


async def test_a_stream_begins_so_many_events_ago_on_each_channel_and_goes_on(
    redis_url: str, prefix: str, start_node: Callable[..., Node]
) -> None:
    node = start_node(ANONYMOUS="read")
    with Publisher.from_url(redis_url, prefix=prefix) as pub:
        for n in range(5):
            pub.publish("topic:a", "n", n)
        pub.publish("topic:b", "n", 100)
        path = "/v1/events?channel=topic:a&channel=topic:b&channel=topic:c&last=2"
        async with EventSource(node.base, path, token=token()) as source:
            told = await source.collect_until(lambda event: event.data == "100")
            assert [event.type for event in told][:1] == ["stream.open"]
            assert [event.data for event in told if event.type == "n"] == ["3", "4", "100"]
            pub.publish("topic:a", "n", 5)
            assert (await source.next_of_type("n")).data == "5"
            cursor = source.last_event_id
        # A cursor counts before it.
        async with EventSource(node.base, path, token=token(), last_event_id=cursor) as source:
            await source.opened()
            pub.publish("topic:c", "n", 9)
            assert (await source.next_of_type("n")).data == "9"
        # The history is trimmed: what is kept of it is told, and nothing is reset.
        with redis.Redis.from_url(redis_url) as client:
            client.xtrim(channel_keys(prefix, "topic:a").log, maxlen=3, approximate=False)
        async with EventSource(node.base, "/v1/events?channel=topic:a&last=1000", token=token()) as source:
            told = await source.collect_until(lambda event: event.data == "5")
            assert [(event.type, event.data) for event in told[1:]] == [("n", "3"), ("n", "4"), ("n", "5")]


async def test_a_job_of_somebody_else_stays_closed_and_ones_own_is_told_step_by_step(
    redis_url: str, prefix: str, start_node: Callable[..., Node]
) -> None:
    node = start_node(JOB_WAIT_S="0.1")
    with Publisher.from_url(redis_url, prefix=prefix) as pub, pub.job("j", kind="k", owner="ann") as job:
        for percent in (10, 20, 30):
            job.progress(percent)
        job.complete()
        async with EventSource(node.base, "/v1/jobs/j/events?last=3", token=token("ann")) as source:
            told = await source.collect_until(lambda event: event.type == "stream.close")
            types = [event.type for event in told]
            assert types == ["stream.open", "job.progress", "job.progress", "job.completed", "stream.close"]
        async with EventSource(node.base, "/v1/jobs/j/events?last=3", token=token("eve")) as source:
            await source.stopped.wait()
            assert source.status == 404


async def test_a_number_without_sense_is_refused(start_node: Callable[..., Node]) -> None:
    node = start_node(ANONYMOUS="read")
    for bad in ("0", "-1", "1001", "x", "", "1.5", "%D9%A3"):
        answer = await request(node.base, f"/v1/events?channel=topic:a&last={bad}")
        assert (answer.status, b"whole number from 1 to 1000" in answer.body) == (400, True), bad

"""A job's id may come to stand for another owner's job, after Redis lost the first one: nobody sees across that."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis

from gateway.fanout import cursor
from publisher import Publisher
from publisher.keys import channel_keys
from tests.support.eventsource import EventSource, StreamEnded
from tests.support.node import Node
from tests.support.tokens import token


def _ann() -> str:
    return token("ann")


def _bob() -> str:
    return token("bob")


def _admin() -> str:
    return token("root", scope="admin")


SECRET = "for-bob-alone"


@pytest.fixture
def pub(redis_url: str, prefix: str) -> Iterator[Publisher]:
    with Publisher.from_url(redis_url, prefix=prefix) as running:
        yield running


def lose(redis_url: str, pattern: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.delete(*client.keys(pattern))


async def read_to_end(source: EventSource) -> str:
    """Everything that the stream said until it ended."""
    with pytest.raises(StreamEnded):
        await source.collect_until(lambda event: False)
    return "".join(f"{event.type} {event.data}\n" for event in source.events)


@pytest.mark.parametrize("path", ["/v1/jobs/1/events", "/v1/events?channel=job:1&channel=broadcast", "/jobs/1/stream"])
async def test_an_open_stream_ends_when_its_job_has_become_somebody_elses(
    redis_url: str, prefix: str, pub: Publisher, start_node: Callable[..., Node], path: str
) -> None:
    """The administrator, who may read both jobs, goes on reading."""
    node = start_node()
    pub.create_job("1", kind="k", owner="ann")
    async with (
        EventSource(node.base, path, token=_ann()) as anns,
        EventSource(node.base, "/v1/jobs/1/events", token=_admin()) as admins,
    ):
        await anns.next_event()
        await admins.next_of_type("job.state")
        lose(redis_url, f"{prefix}:{{job:1}}*")
        pub.create_job("1", kind="k", owner="bob", meta={"note": SECRET})
        pub.update_job("1", message=SECRET)
        await admins.collect_until(lambda event: SECRET in event.data)
        assert SECRET not in await read_to_end(anns)
        pub.update_job("1", message="still there")
        await admins.collect_until(lambda event: "still there" in event.data)


async def test_the_end_says_that_the_channel_may_no_longer_be_read(
    redis_url: str, prefix: str, pub: Publisher, start_node: Callable[..., Node]
) -> None:
    """Also where the stream has heard of the loss before the id was taken again."""
    node = start_node()
    pub.create_job("1", kind="k", owner="ann")
    async with EventSource(node.base, "/v1/jobs/1/events", token=_ann()) as source:
        await source.next_of_type("job.state")
        lose(redis_url, f"{prefix}:{{job:1}}*")
        pub.publish("job:1", "own", {"n": 1})
        await source.next_of_type("stream.reset")
        pub.create_job("1", kind="k", owner="bob", meta={"note": SECRET})
        closing = (await source.next_of_type("stream.close")).json()
        assert (closing["reason"], closing["reconnect"]) == ("forbidden", False)
        assert SECRET not in await read_to_end(source)


async def test_a_list_of_jobs_leaves_out_those_that_are_no_longer_the_callers(
    redis_url: str, prefix: str, pub: Publisher, start_node: Callable[..., Node]
) -> None:
    node = start_node()
    for job_id in ("1", "2"):
        pub.create_job(job_id, kind="k", owner="ann")
    lose(redis_url, f"{prefix}:{{job:1}}*")
    pub.create_job("1", kind="k", owner="bob", meta={"note": SECRET})
    for path, last_event_id in (("/v1/jobs/events", ""), ("/v1/jobs/events", "x"), ("/api/v1/sse/jobs/my", "")):
        async with EventSource(node.base, path, token=_ann(), last_event_id=last_event_id) as source:
            events = await source.collect_until(lambda event: '"2"' in event.data)
            assert SECRET not in "".join(event.data for event in events)
            assert not any('"1"' in event.data for event in events), (path, last_event_id)


async def test_a_new_owner_cannot_resume_into_what_the_old_job_left_behind(
    redis_url: str, prefix: str, pub: Publisher, start_node: Callable[..., Node]
) -> None:
    """Redis evicts keys one by one: the history may be there when the job is gone."""
    node = start_node()
    pub.create_job("1", kind="k", owner="ann")
    pub.update_job("1", message="for-ann-alone")
    lose(redis_url, channel_keys(prefix, "job:1").state)
    pub.create_job("1", kind="k", owner="bob")
    pub.update_job("1", message="now bob's")
    beginning = f"{cursor.tag('job:1')}.0"
    async with EventSource(node.base, "/v1/jobs/1/events", token=_bob(), last_event_id=beginning) as source:
        events = await source.collect_until(lambda event: "now bob's" in event.data)
        assert "for-ann-alone" not in "".join(event.data for event in events)

"""A client that was cut off goes on at another node with exactly what it missed, or is told that it cannot."""

from __future__ import annotations

import json
from collections.abc import Callable

import redis

from publisher import Publisher
from publisher.keys import answer_key, channel_keys
from tests.support.broker import Broker
from tests.support.eventsource import EventSource
from tests.support.node import Node
from tests.support.sse_parser import SseEvent
from tests.support.tokens import token

PATHS = {
    "native": ("/v1/jobs/j1/events", "job.progress"),
    "envelope": ("/v1/events?channel=job:j1&envelope=1", "message"),
    "jobs": ("/api/v1/sse/jobs/character/j1", "message"),
    "generation": ("/api/generation?sessionId=j1", "message"),
    "tasks": ("/api/v1/status/tasks/j1/stream", "task_progress"),
    "video": ("/jobs/j1/stream", "progress"),
}


def progress_of(event: SseEvent) -> int | None:
    data = json.loads(event.data)
    data = data.get("data", data)
    return round(data["progress"]) if data.get("progress") else None


async def test_a_client_resumes_on_another_node_with_exactly_what_it_missed(
    redis_url: str, prefix: str, start_node: Callable[..., Node]
) -> None:
    """In every dialect, and by header as well as by query, as polyfills send it."""
    first, second = start_node(), start_node()
    with Publisher.from_url(redis_url, prefix=prefix) as pub, pub.job("j1", kind="character", owner="user-1") as job:
        cursors = {}
        for name, (path, _) in PATHS.items():
            async with EventSource(first.base, path, token=token()) as source:
                await source.opened()
                job.progress(10)
                await source.collect_until(lambda event: progress_of(event) == 10)
                cursors[name] = source.last_event_id
            job.progress(5)
        first.kill()
        for percent in (20, 30, 40):
            job.progress(percent)
        for name, (path, _) in PATHS.items():
            join = "&" if "?" in path else "?"
            by_query = f"{path}{join}lastEventId={cursors[name]}"
            for tried, cursor in ((path, cursors[name]), (by_query, "")):
                async with EventSource(second.base, tried, token=token(), last_event_id=cursor) as source:
                    events = await source.collect_until(lambda event: progress_of(event) == 40)
                    seen = [value for event in events if (value := progress_of(event)) is not None]
                    assert seen[-3:] == [20, 30, 40], name
                    assert seen.count(20) == 1 and set(seen[:-3]) <= {5, 10}, name


async def test_after_the_history_is_lost_a_client_is_reset_and_gets_the_newest_state(
    redis_url: str, prefix: str, start_node: Callable[..., Node]
) -> None:
    """The same for a cursor of another epoch, from the future, or of another channel, and for rubbish."""
    node = start_node()
    with Publisher.from_url(redis_url, prefix=prefix) as pub, pub.job("j1", kind="character", owner="user-1") as job:
        async with EventSource(node.base, "/v1/jobs/j1/events", token=token()) as source:
            await source.next_of_type("job.state")
            good = source.last_event_id
        tag, epoch, seq, mark = good.split(".")
        job.progress(50)
        bad = {
            "another epoch": f"{tag}.zzzzzzzz.{seq}.{mark}",
            "from the future": f"{tag}.{epoch}.999.{mark}",
            "another event under that number": f"{tag}.{epoch}.{seq}.zzzzzz",
            "another channel's": f"AAAAAAAA.{epoch}.{seq}.{mark}",
            "rubbish": "%00\t🙂.1.2.3",
        }
        with redis.Redis.from_url(redis_url) as client:
            client.delete(channel_keys(prefix, "job:j1").log)
        bad["lost history"] = good
        for name, cursor in bad.items():
            quoted = cursor.encode().decode("latin-1")
            async with EventSource(node.base, "/v1/jobs/j1/events", token=token(), last_event_id=quoted) as source:
                opening = await source.next_event()
                reset, state = await source.next_event(), await source.next_event()
                assert source.status == 200, name
                assert opening.type == "stream.open", name
                assert reset.type == "stream.reset" and reset.json()["channel"] == "job:j1", name
                assert state.type == "job.state" and state.json()["progress"] == 50, name


async def test_an_open_stream_is_reset_when_redis_loses_everything(
    redis_url: str, prefix: str, start_node: Callable[..., Node]
) -> None:
    """The worker's handle creates its job again under a new epoch; the page sees a reset and the newest state."""
    node = start_node()
    with Publisher.from_url(redis_url, prefix=prefix) as pub, pub.job("j1", kind="character", owner="user-1") as job:
        async with EventSource(node.base, "/v1/jobs/j1/events", token=token()) as source:
            await source.next_of_type("job.state")
            with redis.Redis.from_url(redis_url) as client:
                client.delete(*client.keys(f"{prefix}:{{job:j1}}*"))
            job.progress(70)
            await source.next_of_type("stream.reset")
            await source.collect_until(lambda event: progress_of(event) == 70)
            job.complete(result={})
            await source.next_of_type("job.completed")


async def test_what_is_written_again_after_a_loss_comes_behind_a_state_to_begin_from(
    own_broker: Broker, prefix: str
) -> None:
    """Also where the node finds out before the worker does, and has no state to tell yet: a page that goes on with
    what it had would have each word twice."""
    with (
        Node(own_broker.url, prefix) as node,
        Publisher.from_url(own_broker.url, prefix=prefix) as pub,
        pub.answer("c", owner="user-1") as answer,
    ):
        answer.text("One, ")
        async with EventSource(node.base, f"/v1/jobs/{answer.job_id}/events", token=token()) as source:
            await source.next_of_type("job.state")
            answer.text("two, ")
            await source.next_of_type("job.text")
            with redis.Redis.from_url(own_broker.url) as client:
                client.flushall()
                client.client_kill_filter(_type="pubsub")
            await source.next_of_type("stream.reset")
            answer.text("three.")
            answer.complete()
            await source.wait_stopped()
    assert source.of_type("stream.reset")
    assert told(source) == "One, two, three."


async def test_a_text_that_redis_alone_has_lost_is_not_told_twice(
    redis_url: str, prefix: str, start_node: Callable[..., Node]
) -> None:
    """Evicted, with the job and its history there: what its worker writes again comes behind a reset."""
    node = start_node()
    with Publisher.from_url(redis_url, prefix=prefix) as pub, pub.answer("c", owner="user-1") as answer:
        answer.text("One, ")
        async with EventSource(node.base, f"/v1/jobs/{answer.job_id}/events", token=token()) as source:
            await source.next_of_type("job.state")
            answer.text("two, ")
            await source.next_of_type("job.text")
            with redis.Redis.from_url(redis_url) as client:
                assert client.delete(answer_key(prefix, f"job:{answer.job_id}")) == 1
            answer.text("three.")
            answer.complete()
            await source.wait_stopped()
    assert len(source.of_type("stream.reset")) == 1
    assert told(source) == "One, two, three."


def told(source: EventSource) -> str:
    """The text that a page has in the end which begins from each state that it is told."""
    text = ""
    for event in source.events:
        if event.type == "job.state":
            text = event.json()["text"]
        if event.type == "job.text":
            assert event.json()["offset"] == len(text), "text is missing, or came twice"
            text += event.json()["text"]
    return text


async def test_after_the_end_a_reconnect_gets_204(redis_url: str, prefix: str, start_node: Callable[..., Node]) -> None:
    """204 is what makes a browser's EventSource stop; who comes without a cursor sees how it ended."""
    nodes = [start_node(RETRY_MS="10") for _ in range(2)]
    with Publisher.from_url(redis_url, prefix=prefix) as pub, pub.job("j1", kind="character", owner="user-1") as job:
        job.complete(result={"output": ["a.png"]})
    for name, (path, _) in PATHS.items():
        bases = [node.base for node in nodes]
        async with EventSource(bases, path, token=token(), reconnect=True) as source:
            await source.wait_stopped()
            assert [exchange.status for exchange in source.exchanges] == [200, 204], name
            assert source.events, name


async def test_nobody_waits_longer_for_a_foreign_job_than_for_a_missing_one(
    redis_url: str, prefix: str, start_node: Callable[..., Node]
) -> None:
    """The answers are the same to the letter."""
    node = start_node(JOB_WAIT_S=0.2)
    with Publisher.from_url(redis_url, prefix=prefix) as pub:
        pub.create_job("theirs", kind="character", owner="user-2")
    answers = []
    for job_id in ("theirs", "missing"):
        async with EventSource(node.base, f"/v1/jobs/{job_id}/events", token=token()) as source:
            await source.wait_stopped()
            answers.append((source.status, b"".join(source.raw_chunks)))
    assert answers[0] == answers[1]
    assert answers[0][0] == 404


async def test_a_stream_waits_for_a_job_that_is_not_there_yet(
    redis_url: str, prefix: str, start_node: Callable[..., Node]
) -> None:
    node = start_node(JOB_WAIT_S=20)
    async with EventSource(node.base, "/v1/jobs/j1/events", token=token()) as source:
        with Publisher.from_url(redis_url, prefix=prefix) as pub:
            pub.create_job("j1", kind="character", owner="user-1")
            state = await source.next_of_type("job.state")
            assert state.json()["status"] == "pending"


async def test_a_client_cut_off_before_the_state_arrived_is_told_it(
    redis_url: str, prefix: str, start_node: Callable[..., Node]
) -> None:
    """The greeting's cursor says that the state was still on its way: no 204 and no gap for who comes back with it."""
    node = start_node()
    with Publisher.from_url(redis_url, prefix=prefix) as pub, pub.job("j1", kind="character", owner="user-1") as job:
        async with EventSource(node.base, "/v1/jobs/j1/events", token=token()) as source:
            greeting = await source.next_event()
        job.progress(50)
        async with EventSource(
            node.base, "/v1/jobs/j1/events", token=token(), last_event_id=greeting.last_event_id
        ) as source:
            events = await source.collect_until(lambda event: event.type == "job.progress")
            assert [event.type for event in events] == ["stream.open", "job.state", "job.progress"]
            second = events[0]
        job.complete(result={})
    async with EventSource(
        node.base, "/v1/jobs/j1/events", token=token(), last_event_id=second.last_event_id
    ) as source:
        await source.wait_stopped()
        assert source.status == 200
        assert [event.type for event in source.events if event.type.startswith("job.")][-1] == "job.completed"

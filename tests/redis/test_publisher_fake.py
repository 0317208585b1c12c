"""The fake publishers are held to the real ones: one scenario, every message and every error compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from publisher import AsyncPublisher, JobCancelled, Publisher
from publisher.envelope import Event
from publisher.keys import channel_keys
from publisher.testing import AsyncRecordingPublisher, RecordingPublisher
from tests.support.publishers import Reader, done, tracked, within

CHANNELS = ("client:u", "broadcast", "topic:a", "job:a", "job:b", "job:c", "job:d", "job:e", "user:ann", "user:bob")
TIMES = ("created_at", "started_at", "finished_at")


async def scenario(pub: Any) -> list[object]:
    """Everything a publisher can do, well and badly; what it answered, in order."""
    said: list[object] = []

    async def note(call: Callable[[], Any]) -> None:
        try:
            said.append(shape(await done(call())))
        except Exception as error:
            said.append((type(error).__name__, str(error)))

    await note(lambda: pub.send("u", "t", {"a": None}))
    await note(lambda: pub.send("u u", "t", 1))
    await note(lambda: pub.broadcast("job.x", 1))
    await note(lambda: pub.publish("topic:a", "t", "x" * 300_000))
    await note(lambda: pub.publish("topic:a", "t", 1, id="own"))
    await note(lambda: pub.publish("topic:a", "t", 2, id="own"))
    await note(lambda: pub.publish_many([("topic:a", "t", 3), {"channel": "broadcast", "type": "t", "data": 4}]))
    await note(lambda: pub.publish_many([("topic:a", "t", 3), ("topic:a", "t")]))
    await note(lambda: pub.create_job("a", kind="k", owner="ann", meta={"x": [1, "é"]}))
    await note(lambda: pub.create_job("a", kind="k", owner="ann"))
    await note(lambda: _enter(pub, "a", kind="z", owner="ann"))
    await note(lambda: _enter(pub, "a", kind="k", owner="bob"))
    await note(lambda: _work(pub))
    await note(lambda: _enter(pub, "a", kind="k", owner="ann"))
    await note(lambda: pub.publish("job:a", "token", 1))
    await note(lambda: _break(pub))
    await note(lambda: _cancelled(pub))
    await note(lambda: pub.cancel_job("c"))
    await note(lambda: pub.cancel_job("a"))
    await note(lambda: pub.cancel_job("none"))
    await note(lambda: pub.create_job("d", kind="k", owner="bob"))
    await note(lambda: pub.update_job("d", progress=5, message="m", item={"item_id": "f", "status": "ok"}))
    await note(lambda: pub.update_job("d", result=5))
    await note(lambda: pub.update_job("d", status="completed", result=5))
    await note(lambda: pub.update_job("d", status="failed"))
    await note(lambda: pub.get_job("none"))
    await note(lambda: _retry(pub))
    for job_id in "abcde":
        await note(lambda job_id=job_id: pub.get_job(job_id))  # type: ignore[misc]
    return said


async def _enter(pub: Any, job_id: str, **kwargs: Any) -> None:
    async with within(pub.job(job_id, **kwargs)):
        raise AssertionError


async def _work(pub: Any) -> None:
    async with within(pub.job("a", kind="k", owner="ann")) as job:
        await done(job.progress(40, message="m", stage="s", current=4, total=10))
        await done(job.item("f:1", filename="a.png", progress=1.5))
        await done(job.item("f:1", status="done"))
        await done(job.emit("token", "é"))
        await tracked(job, [1])
        await done(job.complete({"r": 1}))
        await done(job.progress(1))


async def _break(pub: Any) -> None:
    async with within(pub.job("b", kind="k")):
        raise KeyError("lost")


async def _retry(pub: Any) -> None:
    async with within(pub.job("e", kind="k", owner="ann")) as job:
        await done(job.progress(30, message="m", stage="s", current=3, total=10))
        await done(job.retrying("busy"))
    await done(pub.get_job("e"))
    async with within(pub.job("e")) as job:
        await done(job.progress(5))
        await done(job.retrying("still busy"))
    await done(pub.update_job("e", stage="by hand"))


async def _cancelled(pub: Any) -> None:
    async with within(pub.job("c", kind="k", owner="ann")) as job:
        await done(pub.cancel_job("c"))
        await done(job.progress(1))
        await done(job.emit("token", 1))
        assert job.cancelled
        await done(job.raise_if_cancelled())


def shape(value: Any) -> object:
    """An answer without what differs from run to run: epochs and times."""
    if isinstance(value, list):
        return [shape(one) for one in value]
    if hasattr(value, "as_dict"):
        data = value.as_dict()
        return {name: data[name] if name not in TIMES else data[name] is not None for name in data}
    return (value.channel, value.seq) if hasattr(value, "seq") else value


def plain(events: list[Event]) -> list[object]:
    """Events likewise, and with their chain checked."""
    found: list[object] = []
    for n, event in enumerate(events):
        assert n == 0 or event.follows(events[n - 1].position)
        data = orjson.loads(event.data)
        if isinstance(data, dict):
            data = [(name, value if name not in TIMES else value is not None) for name, value in data.items()]
        found.append((event.channel, event.seq, event.type, data, event.id))
    return found


@pytest.mark.parametrize(
    ("real", "fake"),
    [(Publisher, RecordingPublisher), (AsyncPublisher, AsyncRecordingPublisher)],
    ids=["blocking", "asyncio"],
)
async def test_the_fake_does_what_the_real_one_does(real: Any, fake: Any, redis_url: str, prefix: str) -> None:
    async with within(fake()) as pretended:
        said = await scenario(pretended)
    async with within(real.from_url(redis_url, prefix=prefix)) as pub:
        assert await scenario(pub) == said
    reader = Reader(redis_url, prefix)
    for channel in CHANNELS:
        assert plain(reader.log(channel)) == plain(pretended.on(channel)), channel
    assert reader.client.exists(channel_keys(prefix, "user:ann").log)
    reader.close()


def test_the_fake_shows_what_was_published() -> None:
    with RecordingPublisher() as pub:
        with pytest.raises(JobCancelled), pub.job("j", kind="k") as job:
            pub.cancel_job("j")
            job.raise_if_cancelled()
        assert [event.type for event in pub.events] == ["job.created", "job.started", "job.cancelled"]
        pub.send("u", "t", {"a": 1})
        assert pub.data("client:u") == [("t", {"a": 1})]
        pub.clear()
        assert pub.events == []
        assert pub.get_job("j") is None

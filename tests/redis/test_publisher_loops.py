"""One asyncio publisher in several event loops, one after the other."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator

import pytest
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from publisher import AsyncPublisher, PublisherError
from publisher.asyncio.answer_handle import AsyncAnswerHandle
from publisher.asyncio.job_handle import AsyncJobHandle
from publisher.core import steps
from tests.support.broker import Broker
from tests.support.publishers import Reader
from tests.support.waiting import until

# What a closed loop leaves open is closed when its memory is freed: here, not in a later test, where it is an error.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def freed() -> Iterator[None]:
    yield
    gc.collect()


def test_one_publisher_serves_one_loop_after_the_other(redis_url: str, prefix: str, reader: Reader) -> None:
    pub = AsyncPublisher.from_url(redis_url, prefix=prefix)

    async def events(run: int) -> None:
        await asyncio.gather(*(pub.publish("topic:a", "tick", [run, n]) for n in range(20)))
        await pub.publish_many([("topic:a", "tick", [run, 20])])

    async def job(run: int) -> None:
        async with pub.job(f"j{run}", kind="k", owner="ann") as job:
            await asyncio.gather(*(job.progress(10 * n) for n in range(5)))
        found = await pub.get_job(f"j{run}")
        assert found is not None and found.status == "completed"

    async def begin() -> AsyncJobHandle:
        job = await pub.job("long", kind="k", progress_interval_s=60)
        await asyncio.gather(job.progress(1), job.progress(2), job.log("a"))
        return job

    async def go_on(job: AsyncJobHandle) -> None:
        await asyncio.gather(job.log("b"), job.log("c"))
        await job.complete()

    for run in range(3):
        asyncio.run(asyncio.wait_for(events(run), 30))
        asyncio.run(asyncio.wait_for(job(run), 30))
    handle = asyncio.run(begin())
    asyncio.run(asyncio.wait_for(go_on(handle), 30))
    asyncio.run(pub.close())
    assert [event.data for event in reader.log("topic:a")] == [
        b"[%d,%d]" % (run, n) for run in range(3) for n in range(21)
    ]
    types = reader.types("job:long")
    assert types[-1] == "job.completed" and types.count("job.log") == 3


def test_what_waits_for_redis_moves_along(own_broker: Broker) -> None:
    pub = AsyncPublisher.from_url(own_broker.url, on_error="buffer")

    async def begin() -> AsyncJobHandle:
        job = await pub.job("j", kind="k", progress_interval_s=0.2)
        await job.progress(1)
        own_broker.stop()
        assert await pub.publish("topic:a", "tick", 1) is None
        assert await pub.publish("topic:a", "tick", 2) is None
        await job.progress(7)  # waits for its interval, and then for Redis
        return job

    async def end(job: AsyncJobHandle) -> None:
        assert await pub.publish("topic:a", "tick", 3) is None
        own_broker.start()
        await job.log("back")
        await pub.close()

    asyncio.run(end(asyncio.run(begin())))
    reader = Reader(own_broker.url, "sse")
    assert [event.data for event in reader.log("topic:a")] == [b"1", b"2", b"3"]
    assert any(b'"progress":7' in event.data for event in reader.log("job:j"))
    reader.close()


def test_another_open_loop_and_a_client_of_a_closed_one_are_refused(redis_url: str, prefix: str) -> None:
    pub = AsyncPublisher.from_url(redis_url, prefix=prefix)

    async def elsewhere() -> None:
        await pub.publish("topic:a", "tick", 1)
        with pytest.raises(PublisherError, match="Make one for each loop"):
            await asyncio.to_thread(asyncio.run, pub.publish("topic:a", "tick", 2))
        await pub.close()

    asyncio.run(elsewhere())
    client = redis.asyncio.Redis.from_url(redis_url, retry=Retry(NoBackoff(), 0))
    given = AsyncPublisher(client, prefix=prefix)

    async def publish_and_let_go() -> None:
        await given.publish("topic:a", "tick", 3)
        await client.aclose()

    asyncio.run(publish_and_let_go())
    for _ in range(2):
        with pytest.raises(PublisherError, match=r"use AsyncPublisher\.from_url"):
            asyncio.run(given.publish("topic:a", "tick", 4))


def test_progress_of_a_loop_that_has_ended_goes_out_in_the_next(redis_url: str, prefix: str) -> None:
    """Its timer had rung, and it waited for its turn."""
    pub = AsyncPublisher.from_url(redis_url, prefix=prefix)

    async def first() -> AsyncJobHandle:
        job = await pub.job("j", kind="k", progress_interval_s=0.01)
        await job.progress(1)
        async with job._turn():
            job._merge.offer(steps.progress(job._options, "j", None, 2), 0.0)
            job._wait_on()
            await until(lambda: not pub._sender.later._moments, "its timer to ring")
        return job

    job = asyncio.run(first())

    async def second() -> None:
        async def there() -> bool:
            found = await pub.get_job("j")
            return found is not None and found.progress == 2

        await job.emit("x", {})
        await until(there, "the progress")
        await pub.close()

    asyncio.run(second())


def test_pieces_of_a_loop_that_has_ended_go_out_in_the_next(redis_url: str, prefix: str) -> None:
    pub = AsyncPublisher.from_url(redis_url, prefix=prefix)

    async def first() -> AsyncAnswerHandle:
        answer = await pub.answer("c", owner="ann", job_id="j")
        await answer.text("one ")
        await answer.text("two ")
        return answer

    answer = asyncio.run(first())

    async def second() -> None:
        async def there() -> bool:
            job = await pub.get_job("j")
            return job is not None and job.text == "one two three "

        await answer.text("three ")
        await until(there, "all that was said")
        await pub.close()

    asyncio.run(second())

"""Calls that are cancelled, closed over or refused in the middle, and what was said before them: nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from redis import Redis

from publisher import AsyncPublisher, BufferFull, Publisher
from publisher.job import Job
from tests.support.broker import Broker
from tests.support.publishers import FACES, done, within
from tests.support.waiting import until


@pytest.fixture(params=list(FACES))
def face(request: pytest.FixtureRequest) -> Any:
    return FACES[request.param]


class HeldBack:
    """A Redis that answers no write until it is told to."""

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(url)

    def __enter__(self) -> HeldBack:
        self._redis.execute_command("CLIENT PAUSE", 600_000, "WRITE")
        return self

    def __exit__(self, *_: object) -> None:
        self._redis.execute_command("CLIENT UNPAUSE")
        self._redis.close()

    def under_way(self) -> bool:
        return bool(self._redis.info("clients")["blocked_clients"])


async def job_of(url: str, prefix: str, job_id: str = "j") -> Job:
    async with AsyncPublisher.from_url(url, prefix=prefix) as pub:
        found = await pub.get_job(job_id)
    assert found is not None
    return found


@contextlib.asynccontextmanager
async def full(face: Any, broker: Broker, prefix: str) -> AsyncIterator[tuple[Any, Callable[[], None]]]:
    """A publisher whose buffer another job has filled, and how to bring Redis back."""
    async with within(face.from_url(broker.url, prefix=prefix, buffer_events=2)) as pub:
        other = pub.job("other", kind="k")
        other = await other if hasattr(other, "__await__") else other

        async def fill() -> None:
            broker.stop()
            with pytest.raises(BufferFull):
                for n in range(10):
                    await done(other.emit("x", n))

        yield pub, fill  # type: ignore[misc]


async def test_the_end_of_a_cancelled_block_gets_its_turn(own_broker: Broker, prefix: str) -> None:
    """It waits behind another report of the job when the cancel comes."""
    async with AsyncPublisher.from_url(own_broker.url, prefix=prefix) as pub:
        entered = asyncio.Event()

        async def work() -> None:
            async with pub.job("j", kind="k") as job:
                entered.set()
                await go_on.wait()
                reports.append(asyncio.create_task(job.emit("x", {})))
                await until(held.under_way, "the report to be under way")

        go_on, reports = asyncio.Event(), list[asyncio.Task[None]]()
        working = asyncio.create_task(work())
        await entered.wait()
        with HeldBack(own_broker.url) as held:
            go_on.set()
            await until(held.under_way, "the report to be under way")
            for _ in range(20):
                await asyncio.sleep(0)
            working.cancel()
            await asyncio.wait([working])
        await asyncio.wait(reports)
    assert (await job_of(own_broker.url, prefix)).finished


async def test_closing_waits_for_what_other_tasks_have_under_way(own_broker: Broker, prefix: str) -> None:
    pub = AsyncPublisher.from_url(own_broker.url, prefix=prefix)
    job = await pub.job("j", kind="k")
    with HeldBack(own_broker.url) as held:
        calls = [asyncio.create_task(job.emit("x", {})), asyncio.create_task(job.complete(1))]
        await until(held.under_way, "a call to be under way")
        closing = asyncio.create_task(pub.close())
        await asyncio.sleep(0)
    await closing
    assert (await job_of(own_broker.url, prefix)).status == "completed"
    await asyncio.wait(calls)


@pytest.mark.parametrize("what", ["progress", "text", "emit"])
async def test_closing_waits_for_what_other_threads_have_under_way(own_broker: Broker, prefix: str, what: str) -> None:
    """The publisher's own, which sends what waits for its moment, and the caller's."""
    pub = Publisher.from_url(own_broker.url, prefix=prefix)
    job: Any = pub.answer("c", owner="ann", job_id="j") if what == "text" else None
    job = job or pub.job("j", kind="k", progress_interval_s=0.2)
    say = {"progress": job.progress, "text": getattr(job, "text", None), "emit": lambda n: job.emit("x", n)}[what]
    first, second = ("one ", "two ") if what == "text" else (1, 2)
    say(first)
    with HeldBack(own_broker.url) as held:
        thread = threading.Thread(target=say, args=(second,))
        thread.start()
        await until(held.under_way, "it to be under way")
        closing = threading.Thread(target=pub.close)
        closing.start()
        assert closing.is_alive()
    await asyncio.to_thread(closing.join)
    await asyncio.to_thread(thread.join)
    found = await job_of(own_broker.url, prefix)
    with Redis.from_url(own_broker.url) as redis:
        events = len(redis.xrange(f"{prefix}:{{job:j}}:log"))
    assert {"progress": found.progress == 2, "text": found.text == "one two ", "emit": events == 4}[what]


async def test_a_stage_that_was_not_entered_is_left(face: Any, own_broker: Broker, prefix: str) -> None:
    async with full(face, own_broker, prefix) as (pub, fill):
        async with within(pub.job("j", kind="k")) as job:
            await done(fill())
            with pytest.raises(BufferFull):
                async with within(job.stage("load")):
                    raise AssertionError("no room for its beginning")
            own_broker.start()

            async def entered() -> bool:
                with contextlib.suppress(BufferFull):
                    async with within(job.stage("render")):
                        return True
                return False

            await until(entered, "room for the next stage")
        assert (await job_of(own_broker.url, prefix)).stage == "render"


async def test_progress_that_waits_finds_no_room_and_waits_on(face: Any, own_broker: Broker, prefix: str) -> None:
    async with full(face, own_broker, prefix) as (pub, fill):
        async with within(pub.job("j", kind="k", progress_interval_s=0.05)) as job:
            await done(job.progress(1))
            await done(fill())
            with contextlib.suppress(BufferFull):
                await done(job.progress(2, message="important"))
            await until(lambda: job._merge.open_at > 0 and job._merge.waits, "it to wait")
            own_broker.start()

            async def there() -> bool:
                return (await job_of(own_broker.url, prefix)).message == "important"

            await until(there, "the progress")


async def test_a_job_is_tried_again_although_its_progress_found_no_room(
    face: Any, own_broker: Broker, prefix: str
) -> None:
    async with full(face, own_broker, prefix) as (pub, fill):
        async with within(pub.job("j", kind="k", progress_interval_s=60)) as job:
            await done(job.progress(1))
            await done(job.progress(2))
            await done(fill())
            await done(job.retrying("busy"))
            own_broker.start()
        found = await job_of(own_broker.url, prefix)
        assert (found.status, found.attempt) == ("pending", 2)


async def test_a_cancel_beside_a_full_buffer_is_a_cancel(own_broker: Broker, prefix: str) -> None:
    async with AsyncPublisher.from_url(own_broker.url, prefix=prefix, buffer_events=1) as pub:
        job, other = await pub.job("j", kind="k"), await pub.job("other", kind="k")
        with HeldBack(own_broker.url) as held:
            calling = asyncio.create_task(job.emit("x", {}))
            await until(held.under_way, "the call to be under way")
            pub._sender.keep(other._record, other._birth)
            calling.cancel()
            await asyncio.wait([calling])
        assert calling.cancelled()


@pytest.fixture
def away(own_broker: Broker) -> Iterator[Broker]:
    own_broker.stop()
    yield own_broker


def test_what_waits_is_sent_at_exit_although_nobody_holds_the_publisher(away: Broker, prefix: str) -> None:
    code = (
        "import gc, sys\n"
        "from publisher import Publisher\n"
        "def work():\n"
        f"    Publisher.from_url({away.url!r}, prefix={prefix!r}, on_error='buffer').publish('topic:a', 'x', 1)\n"
        "work()\n"
        "gc.collect()\n"
        "print('waits', flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None and process.stdout.readline() == b"waits\n"
        away.start()
        assert process.wait(60) == 0
    with Redis.from_url(away.url) as redis:
        assert redis.exists(f"{prefix}:{{topic:a}}:log")


@pytest.mark.parametrize("options", [{}, {"kind": "mine", "adopt": True}], ids=["by its id", "adopted"])
async def test_a_job_that_was_taken_up_comes_back_as_what_it_was(
    face: Any, own_broker: Broker, prefix: str, options: dict[str, Any]
) -> None:
    """Else nobody could have it any more."""
    async with within(face.from_url(own_broker.url, prefix=prefix)) as pub:
        await done(pub.create_job("j", kind="theirs"))
        async with within(pub.job("j", **options)) as job:
            with Redis.from_url(own_broker.url) as redis:
                redis.flushall()
            await done(job.progress(20))
            await done(job.retrying("busy"))
        async with within(pub.job("j", kind="theirs")):
            pass
    assert (await job_of(own_broker.url, prefix)).kind == "theirs"

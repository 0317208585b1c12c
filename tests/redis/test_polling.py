"""Jobs at a provider that can only be asked: one question per job and interval, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import redis

from publisher import AsyncPublisher, Job, Publisher
from publisher.keys import poll_keys
from publisher.polling import Poll, Poller
from tests.support.broker import Broker
from tests.support.publishers import Reader
from tests.support.redis_cluster import cluster_url, redis_cluster
from tests.support.strange_errors import PanicError, strange_errors
from tests.support.waiting import until

FAST: dict[str, Any] = {"interval_s": 0.05, "max_interval_s": 0.1}


class Provider:
    """Something that can only be asked. ``says`` answers the nth question for a job."""

    def __init__(self, says: Callable[[Job, int], Any]) -> None:
        self.asked: Counter[str] = Counter()
        self.at_once: Counter[str] = Counter()
        self.overlaps: list[str] = []
        self._says = says

    async def __call__(self, job: Job) -> Poll:
        self.asked[job.job_id] += 1
        self.at_once[job.job_id] += 1
        if self.at_once[job.job_id] > 1:
            self.overlaps.append(job.job_id)
        try:
            await asyncio.sleep(0)
            found: Poll = self._says(job, self.asked[job.job_id])
            return await found if asyncio.iscoroutine(found) else found
        finally:
            self.at_once[job.job_id] -= 1


@asynccontextmanager
async def running(*pollers: Poller) -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks = [asyncio.create_task(poller.run()) for poller in pollers]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes), outcomes


async def ended(pub: AsyncPublisher, job_id: str) -> Job:
    """The job, once it has ended."""
    found: list[Job | None] = [None]

    async def so() -> bool:
        found[0] = await pub.get_job(job_id)
        return found[0] is not None and found[0].finished

    await until(so, f"the end of job {job_id}")
    assert found[0] is not None
    return found[0]


def scheduled(reader: Reader) -> set[bytes]:
    """The jobs that are to be asked for."""
    due, jobs = poll_keys(reader.prefix, "default")
    return {*reader.client.zrange(due, 0, -1), *reader.client.hkeys(jobs)} - {b""}


@pytest.fixture
async def pub(redis_url: str, prefix: str) -> AsyncIterator[AsyncPublisher]:
    async with AsyncPublisher.from_url(redis_url, prefix=prefix) as found:
        yield found


async def test_a_job_is_asked_for_until_it_has_ended_by_one_of_many(
    pub: AsyncPublisher, reader: Reader, redis_url: str, prefix: str
) -> None:
    """Twenty jobs, four pollers on connections of their own: nobody is asked for twice at once."""

    def says(job: Job, time: int) -> Poll:
        assert (job.kind, job.owner, job.meta) == ("picture", "ann", {"n": 1})
        return Poll("completed", result=[time]) if time == 4 else Poll("active", progress=10 * min(time, 2))

    provider = Provider(says)
    names = [f"j{n}" for n in range(20)]
    async with AsyncExitStack() as stack:
        others = [await stack.enter_async_context(AsyncPublisher.from_url(redis_url, prefix=prefix)) for _ in range(3)]
        pollers = [Poller(each, provider, **FAST) for each in (pub, *others)]
        for job_id in [*names, *names]:
            assert (await pollers[0].watch(job_id, kind="picture", owner="ann", meta={"n": 1})).status == "pending"
        async with running(*pollers):
            for job_id in names:
                assert (await ended(pub, job_id)).result == [4]
            await until(lambda: not scheduled(reader), "all jobs to be forgotten")
    assert provider.asked == dict.fromkeys(names, 4)
    assert provider.overlaps == []
    life = ["job.created", "job.started", "job.progress", "job.progress", "job.completed"]
    assert all(reader.types(f"job:{job_id}") == life for job_id in names)
    # Of a job that has ended nobody is asked again.
    assert (await pollers[0].watch("j0", kind="picture", owner="ann")).status == "completed"
    assert not scheduled(reader)


async def test_what_a_provider_says_ends_the_job_or_is_an_error(
    pub: AsyncPublisher, reader: Reader, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    def says(job: Job, time: int) -> Any:
        match job.job_id:
            case "raises":
                raise ConnectionError("https://provider/?key=secret")
            case "recovers":
                if time % 3:
                    raise ConnectionError("busy")
                return Poll("active") if time < 9 else Poll("completed")
            case "strange":
                raise strange_errors()[time % 4]
            case "panics":
                raise PanicError("no Exception")
            case "no-poll":
                return {"status": "active"}
            case "cancels":
                raise asyncio.CancelledError
            case "too-much":
                return Poll("active", progress=1000)
            case "no-json":
                return Poll("completed", result=object())
            case "refused":
                return Poll("failed", error={"message": "No cats.", "code": "policy"})
            case "dropped":
                return Poll("cancelled")
        return Poll("active")

    provider = Provider(says)
    poller = Poller(pub, provider, give_up_after=3, **FAST)
    hopeless = ("raises", "strange", "panics", "no-poll", "cancels", "too-much")
    for job_id in (*hopeless, "recovers", "no-json", "refused", "dropped", "stopped"):
        await poller.watch(job_id, kind="k")
    caplog.set_level(logging.WARNING)
    async with running(poller):
        for job_id in hopeless:
            error = (await ended(pub, job_id)).error
            assert error is not None and error["code"] == "provider_unreachable"
            assert error["message"] == "The provider could not be asked, 3 times in a row."
            assert provider.asked[job_id] == 3
        assert (await ended(pub, "recovers")).status == "completed"
        unsayable = await ended(pub, "no-json")
        assert (unsayable.status, unsayable.result) == ("completed", None)
        assert (await ended(pub, "refused")).error == {"message": "No cats.", "code": "policy", "details": None}
        assert (await ended(pub, "dropped")).status == "cancelled"
        # Cancelled by its owner: nobody is asked any more.
        await pub.cancel_job("stopped")
        await until(lambda: not scheduled(reader), "all jobs to be forgotten")
    assert "Of the end of job no-json only the status is told" in caplog.text
    assert "fetch must answer a Poll, not dict" in caplog.text


async def test_a_job_has_its_time_and_so_has_an_answer(pub: AsyncPublisher) -> None:
    """One provider is never done, one never answers, and one does not even end when it is told to."""
    forever = asyncio.Event()

    async def deaf() -> Poll:
        while not forever.is_set():
            try:
                await forever.wait()
            except asyncio.CancelledError:
                continue
        raise ConnectionError("too late")

    def says(job: Job, time: int) -> Any:
        return {"slow": lambda: Poll("active"), "silent": forever.wait, "deaf": deaf}[job.job_id]()

    poller = Poller(pub, Provider(says), timeout_s=0.4, **FAST)
    for job_id in ("slow", "silent", "deaf"):
        await poller.watch(job_id, kind="k")
    async with running(poller):
        for job_id in ("slow", "silent", "deaf"):
            error = (await ended(pub, job_id)).error
            assert error == {
                "message": "The provider was not done within 0.4 s.",
                "code": "timeout",
                "details": None,
            }
        forever.set()


async def test_an_outage_of_redis_is_waited_for(
    own_broker: Broker, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    done = asyncio.Event()
    provider = Provider(lambda job, time: Poll("completed", result=1) if done.is_set() else Poll("active"))
    async with AsyncPublisher.from_url(own_broker.url, prefix=prefix) as pub:
        poller = Poller(pub, provider, **FAST)
        for n in range(5):
            await poller.watch(f"j{n}", kind="k")
        async with running(poller) as tasks:
            await until(lambda: len(provider.asked) == 5, "all jobs asked for")
            own_broker.kill()
            await until(lambda: "Nothing is polled" in caplog.text, "the outage noticed")
            done.set()
            own_broker.start()
            for n in range(5):
                assert (await ended(pub, f"j{n}")).result == 1
            assert not any(task.done() for task in tasks)
    assert caplog.text.count("Nothing is polled") == 1
    assert "Polling goes on" in caplog.text


async def test_jobs_are_put_back_where_redis_has_lost_everything(prefix: str, caplog: pytest.LogCaptureFixture) -> None:
    """By the pollers that have asked for them lately; what has ended is not begun anew."""
    done = asyncio.Event()

    def says(job: Job, time: int) -> Poll:
        return Poll("completed", result=job.meta) if done.is_set() or job.job_id == "over" else Poll("active")

    provider = Provider(says)
    with Broker() as broker:
        async with AsyncPublisher.from_url(broker.url, prefix=prefix) as pub:
            poller = Poller(pub, provider, **FAST)
            for n in range(3):
                await poller.watch(f"j{n}", kind="k", owner="ann", meta={"n": n})
            await poller.watch("over", kind="k")
            async with running(poller):
                await ended(pub, "over")
                await until(lambda: len(provider.asked) == 4, "all jobs asked for")
                redis.Redis.from_url(broker.url, protocol=2).flushall()
                await until(lambda: "3 jobs are put back" in caplog.text, "the loss to be noticed")
                done.set()
                for n in range(3):
                    job = await ended(pub, f"j{n}")
                    assert (job.owner, job.result) == ("ann", {"n": n})
                assert await pub.get_job("over") is None


async def test_what_others_wrote_into_the_schedule_is_passed_over(
    pub: AsyncPublisher, reader: Reader, prefix: str
) -> None:
    due, jobs = poll_keys(prefix, "default")
    reader.client.zadd(due, {"nobody": 1, "garbage": 1, "vanished": 1, b"\xff": 1})
    reader.client.hset(jobs, mapping={"garbage": "what?", "vanished": "1 0 -", b"\xff": "1 0 -"})
    provider = Provider(lambda job, time: Poll("completed"))
    poller = Poller(pub, provider, **FAST)
    await poller.watch("good", kind="k")
    async with running(poller):
        assert (await ended(pub, "good")).status == "completed"
        await until(lambda: not scheduled(reader), "all of it to be gone")
    assert provider.asked == {"good": 1}


@pytest.mark.parametrize("due_at", [float("inf"), 1e308])
async def test_a_job_that_is_never_due_stops_no_poller(
    pub: AsyncPublisher, reader: Reader, prefix: str, due_at: float
) -> None:
    due, jobs = poll_keys(prefix, "default")
    reader.client.zadd(due, {"never": due_at, "strange": 1})
    reader.client.hset(jobs, mapping={"never": "1 0 -", "strange": "9" * 400 + " 0 -"})
    poller = Poller(pub, Provider(lambda job, time: Poll("completed")), **FAST)
    await pub.create_job("strange", kind="k")
    async with running(poller):
        await until(lambda: not reader.client.hexists(jobs, "strange"), "what nobody can reckon with to be gone")
        await poller.watch("good", kind="k")
        assert (await ended(pub, "good")).status == "completed"


async def test_it_runs_on_a_cluster_and_with_the_rights_of_one_prefix(prefix: str) -> None:
    provider = Provider(lambda job, time: Poll("completed", result=time) if time == 2 else Poll("active", progress=5))
    with redis_cluster() as nodes:
        async with AsyncPublisher.from_url(cluster_url(nodes), prefix=prefix) as pub:
            poller = Poller(pub, provider, name="pictures", **FAST)
            for n in range(8):
                await poller.watch(f"c{n}", kind="k", owner=f"u{n}")
            async with running(poller):
                for n in range(8):
                    assert (await ended(pub, f"c{n}")).result == 2
    with Broker() as broker:
        admin = redis.Redis.from_url(broker.url, protocol=2)
        keys = [f"~{prefix}:{{{kind}:*" for kind in ("poll", "job", "user")]
        commands = "evalsha eval time hset hget hmget hexists hlen hdel hgetall zadd zrem zrange zrangebyscore zcard"
        more = "zremrangebyrank xadd xrevrange exists expire del publish"
        admin.execute_command(
            "ACL", "SETUSER", "poller", "on", ">secret", "resetchannels", *keys, f"&{prefix}:*",
            *(f"+{word}" for word in f"{commands} {more}".split()),
        )  # fmt: skip
        admin.close()
        url = broker.url.replace("redis://", "redis://poller:secret@")
        async with AsyncPublisher.from_url(url, prefix=prefix) as pub:
            poller = Poller(pub, provider, **FAST)
            await poller.watch("acl", kind="k", owner="ann")
            async with running(poller):
                assert (await ended(pub, "acl")).result == 2


def test_a_poller_says_what_it_needs(redis_url: str) -> None:
    wrong: Any = Publisher.from_url(redis_url)
    with wrong, pytest.raises(ValueError, match="A Poller needs an AsyncPublisher, not Publisher"):
        Poller(wrong, Provider(lambda job, time: Poll("active")))
    right = AsyncPublisher.from_url(redis_url)
    word: Any = "fetch"
    with pytest.raises(ValueError, match="fetch must be a coroutine function, not str"):
        Poller(right, word)
    with pytest.raises(ValueError, match="The poller's name may hold"):
        Poller(right, Provider(lambda job, time: Poll("active")), name="a b")
    assert repr(Poller(right, Provider(lambda job, time: Poll("active")))).startswith(
        "<Poller 'default' over <AsyncPublisher"
    )

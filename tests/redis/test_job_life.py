"""A job's life beside its straight way: tried again, taken up, paused, in stages, and without its worker."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from publisher import AsyncPublisher, JobCancelled, JobExists, JobFinished, JobNotFound, Publisher
from publisher.keys import channel_keys
from publisher.testing import RecordingPublisher
from tests.support.broker import Broker
from tests.support.publishers import FACES, Reader, done, within
from tests.support.waiting import until

SHORT_S = 0.6
"""A lease for tests."""


@pytest.fixture(params=list(FACES))
def face(request: pytest.FixtureRequest) -> Any:
    return FACES[request.param]


@pytest.fixture
async def pub(face: Any, redis_url: str, prefix: str) -> AsyncIterator[Any]:
    async with within(face.from_url(redis_url, prefix=prefix)) as found:
        yield found


def data(reader: Reader, channel: str, type: str) -> list[Any]:
    return [orjson.loads(event.data) for event in reader.log(channel) if event.type == type]


# Tried again ---


async def test_a_retry_leaves_the_job_open_for_its_next_attempt(pub: Any, reader: Reader) -> None:
    async with within(pub.job("j", kind="film", owner="ann")) as job:
        assert job.attempt == 1
        await done(job.progress(30))
        await done(job.retrying("The provider was busy."))
        with pytest.raises(JobFinished, match="pending"):
            await done(job.progress(40))
    waiting = await done(pub.get_job("j"))
    assert (waiting.status, waiting.attempt, waiting.message) == ("pending", 2, "The provider was busy.")
    async with within(pub.job("j")) as again:
        assert (again.attempt, again.owner) == (2, "ann")
    life = ["created", "started", "progress", "retrying", "started", "completed"]
    assert reader.types("job:j") == reader.types("user:ann") == [f"job.{name}" for name in life]
    (retrying,) = data(reader, "job:j", "job.retrying")
    assert retrying.items() >= {"status": "pending", "attempt": 2, "message": "The provider was busy."}.items()
    assert [event["attempt"] for event in data(reader, "job:j", "job.started")] == [1, 2]
    assert [event.seq for event in reader.log("job:j")] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("takes_up", ["job", "update_job"])
async def test_a_new_attempt_begins_without_what_the_last_one_said(pub: Any, reader: Reader, takes_up: str) -> None:
    async with within(pub.job("j", kind="film", owner="ann")) as job:
        await done(job.progress(30, message="Cutting", stage="cut", current=3, total=10))
        await done(job.retrying("The provider was busy."))
    waiting = await done(pub.get_job("j"))
    assert (waiting.progress, waiting.stage, waiting.message) == (30, "cut", "The provider was busy.")
    if takes_up == "job":
        async with within(pub.job("j")):
            pass
        fresh = {"progress": 0, "stage": None, "message": None, "current": None, "total": None}
        assert data(reader, "job:j", "job.started")[1].items() >= {**fresh, "rate": None, "eta_s": None}.items()
        (told,) = data(reader, "user:ann", "job.completed")
    else:
        await done(pub.update_job("j", message="Again"))
        told = data(reader, "job:j", "job.progress")[-1]
        assert (told["message"], told["progress"]) == ("Again", 0)
    found = (await done(pub.get_job("j"))).as_dict()
    for name in ("progress", "stage", "message", "current", "total"):
        assert told[name] == found[name], name
    assert (found["stage"], found["current"], found["total"]) == (None, None, None)
    assert found["message"] == (None if takes_up == "job" else "Again")


async def test_a_job_is_taken_up_by_its_id_alone(pub: Any) -> None:
    await done(pub.create_job("j", kind="film", owner="ann", meta={"a": 1}))
    async with within(pub.job("j")) as job:
        assert job.owner == "ann"
    found = await done(pub.get_job("j"))
    assert (found.status, found.kind, found.meta) == ("completed", "film", {"a": 1})


async def test_what_is_not_there_cannot_be_taken_up(pub: Any) -> None:
    with pytest.raises(JobNotFound, match="create it"):
        async with within(pub.job("j")):
            raise AssertionError
    assert await done(pub.get_job("j")) is None


async def test_a_worker_adopts_the_kind_that_a_job_has_and_nobody_elses_job(pub: Any) -> None:
    await done(pub.create_job("j", kind="film", owner="ann"))
    for owner in ("bob", None):
        with pytest.raises(JobExists, match="another owner"):
            async with within(pub.job("j", kind="film", owner=owner, adopt=True)):
                raise AssertionError
    assert (await done(pub.get_job("j"))).status == "pending"
    async with within(pub.job("j", kind="other", owner="ann", adopt=True)) as job:
        assert job.owner == "ann"
    found = await done(pub.get_job("j"))
    assert (found.status, found.kind, found.owner) == ("completed", "film", "ann")
    async with within(pub.job("new", kind="other", owner="bob", adopt=True)) as job:
        assert job.owner == "bob"


# Its worker is lost ---


WORKER = """
import sys, time
from publisher import Publisher
url, prefix, lost = sys.argv[1:]
pub = Publisher.from_url(url, prefix=prefix)
job = pub.job("j", kind="film", owner="ann", lease_s=%s, on_worker_lost=lost)
job.progress(40)
print("working", flush=True)
time.sleep(600)
"""


def killed_worker(url: str, prefix: str, on_worker_lost: str) -> None:
    """A worker that has begun the job, and is no more."""
    code = WORKER % SHORT_S
    with subprocess.Popen([sys.executable, "-c", code, url, prefix, on_worker_lost], stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None and worker.stdout.readline() == b"working\n"
        worker.send_signal(signal.SIGKILL)


async def test_whoever_looks_at_a_killed_workers_job_finds_it_failed(
    pub: Any, redis_url: str, prefix: str, reader: Reader
) -> None:
    await asyncio.to_thread(killed_worker, redis_url, prefix, "fail")

    async def failed() -> bool:
        return bool((await done(pub.get_job("j"))).status == "failed")

    await until(failed, "the job to fail")
    found = await done(pub.get_job("j"))
    assert found.error == {"message": "The worker stopped without a word.", "code": "worker_lost", "details": None}
    assert reader.types("job:j")[-1] == reader.types("user:ann")[-1] == "job.failed"
    with pytest.raises(JobFinished):
        async with within(pub.job("j", kind="film", owner="ann")):
            raise AssertionError


async def test_a_job_that_its_queue_runs_again_waits_for_it(
    pub: Any, redis_url: str, prefix: str, reader: Reader
) -> None:
    await asyncio.to_thread(killed_worker, redis_url, prefix, "wait")

    async def waits() -> bool:
        return bool((await done(pub.get_job("j"))).status == "pending")

    await until(waits, "the job to be pending again")
    async with within(pub.job("j", kind="film", owner="ann")) as job:
        assert job.attempt == 2
    assert reader.types("job:j")[-3:] == ["job.retrying", "job.started", "job.completed"]


async def test_a_worker_that_works_silently_is_not_lost(face: Any, redis_url: str, prefix: str, reader: Reader) -> None:
    """Also not while its event loop is blocked: the lease is renewed from a thread."""
    state = channel_keys(prefix, "job:j").state
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        async with within(pub.job("j", kind="film", lease_s=SHORT_S)):
            first = int(reader.client.hget(state, "lease_until"))
            deadline = time.monotonic() + 30
            while int(reader.client.hget(state, "lease_until")) < first + 2_000 * SHORT_S:  # blocks a loop, too
                assert time.monotonic() < deadline
            assert Publisher.from_url(redis_url, prefix=prefix).expire_job("j") > 0
    assert reader.client.hget(state, "lease_until") is None


async def test_short_jobs_share_one_thread_for_their_leases(
    face: Any, redis_url: str, prefix: str, reader: Reader
) -> None:
    state = channel_keys(prefix, "job:quick").state

    def ends_at() -> int:
        return int(reader.client.hget(state, "lease_until"))

    def renewing() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread.name == "sse-leases"} - others

    others: set[threading.Thread] = set()
    others = renewing()
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        seen = set()
        for number in range(5):
            async with within(pub.job(f"j{number}", kind="film")):
                seen |= renewing()
        assert len(seen) == 1 and renewing() == seen
        async with within(pub.job("quick", kind="film", lease_s=SHORT_S)):  # due before what the thread waits for
            first = ends_at()
            await until(lambda: ends_at() > first, "its lease to be renewed")
        assert renewing() == seen
    await until(lambda: not renewing(), "the thread to end with its publisher")


async def test_a_lease_that_ran_out_while_redis_was_away_does_not_count(
    own_broker: Broker, prefix: str, face: Any
) -> None:
    """Its worker could not renew it; as soon as Redis is back it does."""
    async with within(face.from_url(own_broker.url, prefix=prefix)) as pub:
        async with within(pub.job("j", kind="film", lease_s=SHORT_S)):
            own_broker.stop()
            await asyncio.sleep(2 * SHORT_S)  # the lease runs out by the clock, which is what is tested
            own_broker.start()
            with Publisher.from_url(own_broker.url, prefix=prefix) as other:
                assert other.expire_job("j") != 0
                found = other.get_job("j")
                assert found is not None and found.status == "active"
        assert (await done(pub.get_job("j"))).status == "completed"


async def test_another_worker_takes_the_lease_over(pub: Any, redis_url: str, prefix: str, reader: Reader) -> None:
    state = channel_keys(prefix, "job:j").state
    first = pub.job("j", kind="film", lease_s=SHORT_S)
    first = await first if hasattr(first, "__await__") else first
    held = reader.client.hget(state, "worker")
    with Publisher.from_url(redis_url, prefix=prefix) as other, other.job("j", kind="film", lease_s=None) as second:
        assert reader.client.hget(state, "worker") == held  # who has no lease takes none
        second.progress(1)
    with pytest.raises(ValueError, match="lease_s must be"):
        pub.job("k", kind="film", lease_s=0)
    with pytest.raises(ValueError, match="on_worker_lost must be"):
        pub.job("k", kind="film", on_worker_lost="retry")


# Not entered, cancelled ---


async def test_a_cancelled_task_cancels_its_job(redis_url: str, prefix: str) -> None:
    async with AsyncPublisher.from_url(redis_url, prefix=prefix) as pub:
        entered = asyncio.Event()

        async def work() -> None:
            async with pub.job("j", kind="film"):
                entered.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        found = await pub.get_job("j")
        assert found is not None and found.status == "cancelled"


async def test_a_job_that_was_not_entered_is_not_active(own_broker: Broker, prefix: str) -> None:
    """Cut off while Redis hangs: nobody can know whether the step arrived, so it is ended behind it."""
    async with AsyncPublisher.from_url(own_broker.url, prefix=prefix) as pub:
        await pub.publish("topic:a", "t", 1)
        own_broker.freeze()
        opening = asyncio.ensure_future(pub.job("j", kind="film")._start())
        await asyncio.sleep(0.1)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        own_broker.thaw()

        async def ended() -> bool:
            found = await pub.get_job("j")
            return found is not None and found.status == "cancelled"

        await until(ended, "the job to be ended")


# Paused ---


async def test_a_paused_job_waits_and_goes_on(pub: Any, redis_url: str, prefix: str, reader: Reader) -> None:
    await done(pub.create_job("j", kind="film", owner="ann"))
    paused = await done(pub.pause_job("j"))
    assert (paused.status, paused.paused) == ("pending", True)
    assert (await done(pub.pause_job("j"))).paused is True
    seen: list[int] = []

    def work() -> None:
        with Publisher.from_url(redis_url, prefix=prefix) as other, other.job("j") as job:
            job.wait_if_paused()
            seen.append(1)

    worker = threading.Thread(target=work)
    worker.start()
    await until(lambda: "job.started" in reader.types("job:j"), "the worker")
    assert not seen
    assert (await done(pub.resume_job("j"))).paused is False
    await asyncio.to_thread(worker.join)
    assert seen == [1]
    life = ["created", "paused", "started", "resumed", "completed"]
    assert reader.types("job:j") == reader.types("user:ann") == [f"job.{name}" for name in life]
    assert data(reader, "job:j", "job.paused") == [{"job_id": "j", "status": "pending", "attempt": 1, "paused": True}]
    with pytest.raises(JobFinished):
        await done(pub.pause_job("j"))
    with pytest.raises(JobNotFound):
        await done(pub.resume_job("missing"))


async def test_a_cancel_ends_the_waiting(pub: Any) -> None:
    with pytest.raises(JobCancelled):
        async with within(pub.job("j", kind="film")) as job:
            await done(pub.pause_job("j"))
            await done(pub.cancel_job("j"))
            await done(job.wait_if_paused())


async def test_track_waits_by_itself(redis_url: str, prefix: str, reader: Reader) -> None:
    with Publisher.from_url(redis_url, prefix=prefix) as pub:
        reached: list[int] = []

        def work() -> None:
            with contextlib.suppress(JobCancelled), pub.job("j", kind="film") as job:
                for number in job.track(range(10**9)):
                    reached.append(number)
                    job.raise_if_cancelled()

        worker = threading.Thread(target=work)
        worker.start()
        await until(lambda: len(reached) > 10, "the work to begin")
        pub.pause_job("j")
        await until(lambda: _stands_still(reached), "the work to stand still")
        pub.cancel_job("j")
        await asyncio.to_thread(worker.join)


def _stands_still(reached: list[int]) -> bool:
    before = len(reached)
    time.sleep(0.3)  # how long it has to stand still to count
    return len(reached) == before


# Told in more detail ---


async def test_stages_fill_their_shares_of_the_plan(pub: Any, reader: Reader) -> None:
    async with within(pub.job("j", kind="film")) as job:
        job.plan({"load": 1, "render": 3})
        async with within(job.stage("load")):
            await done(job.progress(50, message="half"))
        async with within(job.stage("render")):
            job.plan({"frames": 1, "sound": 1})
            async with within(job.stage("frames")):
                await done(job.progress(100))
            await done(job.progress(10))  # the job's own progress never falls
    steps = [(event["stage"], event["progress"]) for event in data(reader, "job:j", "job.progress")]
    assert steps == [
        ("load", 0),
        ("load", 12.5),
        ("load", 25),
        ("render", 25),
        ("render/frames", 25),
        ("render/frames", 62.5),
        ("render/frames", 62.5),
        ("render", 62.5),
        ("render", 100),
    ]


async def test_a_line_of_the_log_stays_on_the_jobs_channel(pub: Any, reader: Reader) -> None:
    async with within(pub.job("j", kind="film", owner="ann")) as job:
        await done(job.log("Loaded 3 files"))
        await done(job.log("One is empty", level="warning"))
        with pytest.raises(ValueError, match="level must be one of debug, info, warning, error"):
            await done(job.log("x", level="loud"))
        with pytest.raises(ValueError, match="must be text"):
            await done(job.log(7))
    assert data(reader, "job:j", "job.log") == [
        {"job_id": "j", "text": "Loaded 3 files", "level": "info"},
        {"job_id": "j", "text": "One is empty", "level": "warning"},
    ]
    assert "job.log" not in reader.types("user:ann")


async def test_rate_and_remaining_time_travel_with_progress(pub: Any) -> None:
    async with within(pub.job("j", kind="film")) as job:
        begun = time.monotonic()
        count = 0
        while time.monotonic() - begun < 0.7:  # an estimate needs half a second
            count += 1
            await done(job.progress(1, current=count, total=10**6))
        found = await done(pub.get_job("j"))
        assert found.rate > 0
        assert found.eta_s == pytest.approx((10**6 - count) / found.rate, rel=0.1)
    ended = await done(pub.get_job("j"))
    assert ended.eta_s is None


def test_the_fake_knows_retries_and_pauses() -> None:
    pub = RecordingPublisher()
    with pub.job("j", kind="film", owner="ann") as job:
        job.retrying("again")
    pub.pause_job("j")
    pub.resume_job("j")
    with pub.job("j") as job:
        assert job.attempt == 2
    types = [event.type for event in pub.on("job:j")]
    assert types == [
        f"job.{name}" for name in ("created", "started", "retrying", "paused", "resumed", "started", "completed")
    ]
    with pytest.raises(JobExists):
        pub.create_job("j", kind="other")

"""The life of a job through a real server, with both publishers, and through outages."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from publisher import (
    AsyncPublisher,
    BufferFull,
    JobCancelled,
    JobExists,
    JobFinished,
    JobNotFound,
    Publisher,
    PublishError,
)
from publisher.keys import channel_keys
from tests.support.broker import Broker
from tests.support.publishers import FACES, Reader, done, tracked, within
from tests.support.strange_errors import PanicError, strange_errors
from tests.support.waiting import until

LIFE = ["job.created", "job.started", "job.completed"]


@pytest.fixture(params=list(FACES))
def face(request: pytest.FixtureRequest) -> Any:
    return FACES[request.param]


@pytest.fixture
async def pub(face: Any, redis_url: str, prefix: str) -> AsyncIterator[Any]:
    async with within(face.from_url(redis_url, prefix=prefix)) as found:
        yield found


async def test_a_jobs_life_reaches_its_channel_and_its_owner(pub: Any, reader: Reader) -> None:
    async with within(pub.job("j", kind="film", owner="ann", meta={"a": [1]})) as job:
        await done(job.progress(40, message="Painting", stage="render", current=4, total=10))
        await done(job.item("f:1", filename="a.png", status="processing", progress=10))
        await done(job.emit("token", {"text": "Hel"}))
        await done(job.complete({"id": "c-1"}))
    own = ["job.created", "job.started", "job.progress", "job.item", "token", "job.completed"]
    assert reader.types("job:j") == own
    assert reader.types("user:ann") == [name for name in own if name not in ("job.item", "token")]
    log = {event.type: orjson.loads(event.data) for event in reader.log("job:j")}
    assert log["job.progress"] == {
        "job_id": "j",
        "status": "active",
        "attempt": 1,
        "progress": 40,
        "stage": "render",
        "message": "Painting",
        "current": 4,
        "total": 10,
        "rate": None,
        "eta_s": None,
        "created_at": log["job.created"]["created_at"],
        "started_at": log["job.started"]["started_at"],
    }
    assert log["job.completed"]["result"] == {"id": "c-1"}
    assert log["job.completed"]["message"] == "Painting"
    state = await done(pub.get_job("j"))
    assert (state.status, state.progress, state.kind, state.owner) == ("completed", 100, "film", "ann")
    assert state.created_at <= state.started_at <= state.finished_at
    assert state.items == [
        {"item_id": "f:1", "filename": "a.png", "status": "processing", "progress": 10, "message": None}
    ]


async def test_a_normal_exit_completes_and_an_exception_fails(pub: Any) -> None:
    async with within(pub.job("good", kind="k")):
        pass
    with pytest.raises(ZeroDivisionError):
        async with within(pub.job("bad", kind="k")):
            raise ZeroDivisionError("by zero")
    assert (await done(pub.get_job("good"))).status == "completed"
    bad = await done(pub.get_job("bad"))
    assert (bad.status, bad.error) == (
        "failed",
        {"message": "by zero", "code": "ZeroDivisionError", "details": None},
    )


async def test_an_exception_ends_its_job_whatever_it_says_of_itself(face: Any, redis_url: str, prefix: str) -> None:
    """One that raises when it is asked, one that is no Exception, and one that says more than an event may hold."""
    async with within(face.from_url(redis_url, prefix=prefix, max_event_bytes=500)) as pub:
        for number, error in enumerate([*strange_errors(), PanicError(), ValueError("x" * 1000)]):
            with pytest.raises(type(error)) as caught:
                async with within(pub.job(f"j{number}", kind="k")):
                    raise error
            assert caught.value is error
            found = await done(pub.get_job(f"j{number}"))
            name = type(error).__name__
            assert (found.status, found.error) == ("failed", {"message": name, "code": name, "details": None})


async def test_a_registered_job_waits_for_its_worker(pub: Any, reader: Reader) -> None:
    made = await done(pub.create_job("j", kind="k", owner="ann", meta={"x": 1}))
    assert (made.status, made.meta) == ("pending", {"x": 1})
    async with within(pub.job("j", kind="k", owner="ann")):
        pass
    assert reader.types("job:j") == LIFE
    assert reader.types("user:ann") == LIFE


async def test_registering_a_job_is_one_call_which_says_how_it_stands(
    own_broker: Broker, prefix: str, face: Any
) -> None:
    async with within(face.from_url(own_broker.url, prefix=prefix)) as pub:
        first, second = [
            await done(pub.create_job(job_id, kind="film", owner=owner, meta=meta))
            for job_id, owner, meta in (("1", None, None), ("2", "ann", {"a": [1, None, 2.5], "ü": 2**53}))
        ]
        reader = Reader(own_broker.url, prefix)
        calls = reader.client.info("commandstats")
        reader.close()
        assert "cmdstat_hgetall" not in calls
        assert [first, second] == [await done(pub.get_job(job_id)) for job_id in ("1", "2")]


async def test_an_id_that_is_taken_is_refused(pub: Any) -> None:
    await done(pub.create_job("j", kind="k", owner="ann"))
    assert (await done(pub.create_job("j", kind="k", owner="ann"))).status == "pending"  # a worker may be quicker
    for wrong, words in (({"kind": "x", "owner": "ann"}, "kind"), ({"kind": "k", "owner": "bob"}, "owner")):
        with pytest.raises(JobExists, match="another id"):
            await done(pub.create_job("j", **wrong))
        with pytest.raises(JobExists, match=words):
            async with within(pub.job("j", **wrong)):
                raise AssertionError
    assert (await done(pub.get_job("j"))).status == "pending"


async def test_a_finished_job_takes_nothing_more(pub: Any) -> None:
    async with within(pub.job("j", kind="k")) as job:
        await done(job.complete())
        late: list[Callable[[], Any]] = [lambda: job.progress(1), lambda: job.emit("t", 1), lambda: job.fail("x")]
        for call in late:
            with pytest.raises(JobFinished):
                await done(call())
    with pytest.raises(JobFinished, match="completed"):
        async with within(pub.job("j", kind="k")):
            raise AssertionError
    with pytest.raises(JobFinished):
        await done(pub.cancel_job("j"))


async def test_a_cancellation_reaches_the_worker(pub: Any, reader: Reader) -> None:
    with pytest.raises(JobCancelled):
        async with within(pub.job("j", kind="k", owner="ann")) as job:
            assert not job.cancelled
            assert (await done(pub.cancel_job("j"))).status == "cancelled"
            await done(job.raise_if_cancelled())
    assert reader.types("job:j") == ["job.created", "job.started", "job.cancelled"]
    assert reader.types("user:ann") == ["job.created", "job.started", "job.cancelled"]
    assert (await done(pub.cancel_job("j"))).status == "cancelled"


async def test_a_worker_that_never_asks_ends_quietly_after_a_cancellation(pub: Any, reader: Reader) -> None:
    async with within(pub.job("j", kind="k")) as job:
        await done(pub.cancel_job("j"))
        await done(job.progress(50))
        assert job.cancelled
        await done(job.item("f"))
        await done(job.complete())
    assert reader.types("job:j")[-1] == "job.cancelled"
    assert (await done(pub.get_job("j"))).status == "cancelled"


async def test_a_job_that_is_not_there_is_not_found(pub: Any) -> None:
    assert await done(pub.get_job("none")) is None
    asking: list[Callable[[], Any]] = [lambda: pub.cancel_job("none"), lambda: pub.update_job("none", progress=1)]
    for call in asking:
        with pytest.raises(JobNotFound, match="create_job"):
            await done(call())


async def test_an_update_from_outside_takes_the_same_steps(pub: Any, reader: Reader) -> None:
    await done(pub.create_job("j", kind="k", owner="ann"))
    assert (await done(pub.update_job("j", status="active"))).status == "active"
    await done(pub.update_job("j", progress=30, message="m", item={"item_id": "f", "status": "ok"}))
    ended = await done(pub.update_job("j", status="failed", error={"message": "no", "code": "E1"}, stage="last"))
    assert (ended.status, ended.stage, ended.error["code"]) == ("failed", "last", "E1")
    assert reader.types("job:j") == ["job.created", "job.started", "job.item", "job.progress", "job.failed"]
    assert reader.types("user:ann") == ["job.created", "job.started", "job.progress", "job.failed"]
    with pytest.raises(JobFinished):
        await done(pub.update_job("j", progress=40))
    with pytest.raises(JobFinished):
        await done(pub.update_job("j", status="active"))


async def test_track_reports_by_itself_and_always_the_last(pub: Any, reader: Reader) -> None:
    async with within(pub.job("j", kind="k")) as job:
        assert await tracked(job, range(1000)) == list(range(1000))
        assert await tracked(job, (n for n in range(3))) == [0, 1, 2]
        with pytest.raises(ValueError, match="total must be a number, not str"):
            await tracked(job, range(3), total="3")
    shown = [orjson.loads(event.data) for event in reader.log("job:j") if event.type == "job.progress"]
    assert len(shown) < 100
    assert (1000, 1000, 100) in [(data["current"], data["total"], data["progress"]) for data in shown]
    assert shown[-1]["current"] == 3


async def test_a_jobs_keys_expire_sooner_after_its_end(pub: Any, reader: Reader, prefix: str) -> None:
    async with within(pub.job("j", kind="k", owner="ann")):
        names = channel_keys(prefix, "job:j")
        assert reader.client.ttl(names.log) > 3600
        assert reader.client.zrange(channel_keys(prefix, "user:ann").active, 0, -1) == [b"j"]
    assert 0 < reader.client.ttl(names.log) <= 3600
    assert 0 < reader.client.ttl(names.meta) <= 604_800
    assert 0 < reader.client.ttl(names.state) <= 86_400
    assert reader.client.zrange(channel_keys(prefix, "user:ann").active, 0, -1) == []
    assert reader.client.zrange(channel_keys(prefix, "user:ann").jobs, 0, -1) == [b"j"]


async def test_a_vanished_job_is_created_anew_under_a_new_epoch(own_broker: Broker, prefix: str, face: Any) -> None:
    reader = Reader(own_broker.url, prefix)
    async with within(face.from_url(own_broker.url, prefix=prefix)) as pub:
        async with within(pub.job("j", kind="k", owner="ann", meta={"m": 1})) as job:
            await done(job.progress(30, message="before"))
            await done(job.item("f", status="done"))
            epoch = reader.log("job:j")[0].epoch
            reader.client.flushall()
            await done(job.emit("token", 1))
            assert reader.types("job:j") == ["job.created", "token"]
            assert reader.log("job:j")[0].epoch != epoch
            state = await done(pub.get_job("j"))
            assert (state.status, state.progress, state.message, state.meta, state.owner) == (
                "active",
                30,
                "before",
                {"m": 1},
                "ann",
            )
            assert state.items[0]["status"] == "done"
    assert reader.types("user:ann") == ["job.created", "job.completed"]
    reader.close()


async def test_a_restart_of_redis_costs_a_running_job_nothing(own_broker: Broker, prefix: str, face: Any) -> None:
    reader = Reader(own_broker.url, prefix)
    async with within(face.from_url(own_broker.url, prefix=prefix)) as pub:
        async with within(pub.job("j", kind="k", owner="ann")) as job:
            await done(job.progress(10))
            own_broker.kill()
            for n in range(50):
                await done(job.progress(n, message=f"m{n}"))
                await done(job.emit("token", n))
            own_broker.start()
        types = reader.types("job:j")
        tokens = [event.data for event in reader.log("job:j") if event.type == "token"]
    assert tokens == [b"%d" % n for n in range(50)]
    assert types.count("job.progress") <= 4
    assert types[-1] == "job.completed"
    assert reader.types("user:ann")[-1] == "job.completed"
    log = reader.log("job:j")
    assert all(later.follows(earlier.position) for earlier, later in itertools.pairwise(log))
    reader.close()


async def test_during_an_outage_no_call_after_the_first_waits(own_broker: Broker, prefix: str, face: Any) -> None:
    async with within(face.from_url(own_broker.url, prefix=prefix)) as pub, within(pub.job("j", kind="k")) as job:
        own_broker.freeze()
        await done(job.progress(0))
        calls = asyncio.create_task(_many(job))
        finished, _ = await asyncio.wait([calls], timeout=30)
        assert finished, "980 calls would take half an hour if each of them waited"
        own_broker.thaw()
    reader = Reader(own_broker.url, prefix)
    items = [event for event in reader.log("job:j") if event.type == "job.item"]
    assert len({event.mark for event in items}) == len(items) == 490
    reader.close()


async def _many(job: Any) -> None:
    for n in range(490):
        await done(job.progress(n % 100))
        await done(job.item(f"f{n}"))


async def test_a_job_may_begin_while_redis_is_away(own_broker: Broker, prefix: str, face: Any) -> None:
    own_broker.kill()
    async with within(face.from_url(own_broker.url, prefix=prefix)) as pub:
        async with within(pub.job("j", kind="k", owner="ann")) as job:
            await done(job.progress(50))
            await done(job.raise_if_cancelled())
            own_broker.start()
    reader = Reader(own_broker.url, prefix)
    assert reader.types("job:j") == ["job.created", "job.started", "job.progress", "job.completed"]
    reader.close()


async def test_an_end_that_does_not_arrive_is_logged_once(
    own_broker: Broker, prefix: str, face: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with within(face.from_url(own_broker.url, prefix=prefix, flush_timeout_s=0.1)) as pub:
        async with within(pub.job("j", kind="k")):
            own_broker.kill()
        errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
        assert len(errors) == 1
        assert "job j is not in Redis" in errors[0]
        own_broker.start()
        reader = Reader(own_broker.url, prefix)
        await until(lambda: reader.types("job:j")[-1:] == ["job.completed"], "the end that was late")
        reader.close()


async def test_a_job_keeps_a_bounded_number_of_events(own_broker: Broker, prefix: str, face: Any) -> None:
    async with within(face.from_url(own_broker.url, prefix=prefix, buffer_events=3)) as pub:
        async with within(pub.job("j", kind="k")) as job:
            own_broker.kill()
            await done(job.progress(1, message="kept"))
            await done(job.item("a"))
            await done(job.item("b"))
            with pytest.raises(BufferFull):
                await done(job.item("c"))
            await done(job.progress(2))
            await done(job.complete("done"))
            own_broker.start()
        state = await done(pub.get_job("j"))
        assert (state.status, state.message, state.result) == ("completed", "kept", "done")


async def test_a_full_server_does_not_break_a_job(own_broker: Broker, prefix: str, face: Any) -> None:
    reader = Reader(own_broker.url, prefix)
    async with within(face.from_url(own_broker.url, prefix=prefix)) as pub:
        async with within(pub.job("j", kind="k")) as job:
            reader.client.config_set("maxmemory", "1")
            await done(job.item("a"))
            reader.client.config_set("maxmemory", "0")
    assert reader.types("job:j") == ["job.created", "job.started", "job.item", "job.completed"]
    reader.close()


@pytest.mark.parametrize("turns", [0, 50], ids=["while it sends", "while it waits for the answer"])
async def test_a_task_cancelled_in_the_middle_of_its_last_word_still_ends_its_job(
    own_broker: Broker, prefix: str, turns: int
) -> None:
    async with AsyncPublisher.from_url(own_broker.url, prefix=prefix) as pub:
        speaking = asyncio.Event()

        async def work() -> None:
            async with pub.job("j", kind="k") as job:
                own_broker.freeze()
                # A stop signal takes effect in its own time.
                await until(lambda: not runs(own_broker), "the server to be frozen")
                speaking.set()
                await job.complete()

        task = asyncio.create_task(work())
        await speaking.wait()
        for _ in range(turns):
            await asyncio.sleep(0)
        assert task.cancel()
        await asyncio.wait([task], timeout=0.5)
        own_broker.thaw()
        await asyncio.wait([task])
        assert task.cancelled()
    reader = Reader(own_broker.url, prefix)
    types = reader.types("job:j")
    assert types[:2] == ["job.created", "job.started"]
    assert types[2:] in (["job.completed"], ["job.failed"])
    reader.close()


def runs(broker: Broker) -> bool:
    """Whether the server's process runs: the kernel shows T for a stopped one."""
    return Path(f"/proc/{broker.pid}/stat").read_text().split(") ")[1][0] != "T"


async def test_who_may_not_write_is_told_when_the_job_opens(own_broker: Broker, prefix: str, face: Any) -> None:
    reader = Reader(own_broker.url, prefix)
    reader.client.acl_setuser("weak", enabled=True, passwords=["+hunter2"], commands=["+ping"])
    url = own_broker.url.replace("redis://", "redis://weak:hunter2@")
    async with within(face.from_url(url, prefix=prefix)) as pub:
        with pytest.raises(PublishError, match="rights") as caught:
            async with within(pub.job("j", kind="k")):
                raise AssertionError
        assert "hunter2" not in str(caught.value)
    reader.close()


async def test_bad_arguments_are_refused_and_the_job_goes_on(pub: Any) -> None:
    async with within(pub.job("j", kind="k")) as job:
        wrong_calls: list[Callable[[], Any]] = [
            lambda: job.progress(101),
            lambda: job.progress(),
            lambda: job.item(""),
            lambda: job.emit("job.fake", 1),
            lambda: job.complete({1}),
        ]
        for call in wrong_calls:
            with pytest.raises(ValueError, match=r"."):
                await done(call())
    assert (await done(pub.get_job("j"))).status == "completed"
    for wrong in ({"kind": ""}, {"kind": "k", "owner": "a b"}, {"kind": "k", "meta": [1]}):
        with pytest.raises(ValueError, match=r"."):
            await done(pub.create_job("j2", **wrong))


def test_threads_share_a_job(redis_url: str, prefix: str, reader: Reader) -> None:
    with Publisher.from_url(redis_url, prefix=prefix) as pub, pub.job("j", kind="k") as job:

        def work(name: int) -> None:
            for n in range(50):
                job.emit("token", [name, n])

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    tokens = [orjson.loads(event.data) for event in reader.log("job:j") if event.type == "token"]
    assert sorted(tokens) == [[n, m] for n in range(4) for m in range(50)]
    for n in range(4):
        assert [m for name, m in tokens if name == n] == list(range(50))


def _state_reads(reader: Reader) -> int:
    """How often a job's status was read so far."""
    found: int = reader.client.info("commandstats").get("cmdstat_hmget", {}).get("calls", 0)
    return found


def test_a_status_is_read_at_most_once_a_second(redis_url: str, prefix: str, reader: Reader) -> None:
    with Publisher.from_url(redis_url, prefix=prefix) as pub, pub.job("j", kind="k") as job:
        before = _state_reads(reader)
        begun = time.monotonic()
        for _ in range(2000):
            job.raise_if_cancelled()
        asked = _state_reads(reader) - before
        assert 1 <= asked <= 2 + (time.monotonic() - begun)

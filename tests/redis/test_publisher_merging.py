"""``progress_interval_s``: calls that come closer together become one event, and the last is always sent."""

from __future__ import annotations

import os
from typing import Any

import orjson
import pytest

from publisher import JobFinished, Publisher
from publisher.testing import RecordingPublisher
from tests.support.publishers import FACES, Reader, done, within
from tests.support.waiting import until

HOUR = 3600


@pytest.fixture(params=list(FACES))
def face(request: pytest.FixtureRequest) -> Any:
    return FACES[request.param]


def told(reader: Reader, job_id: str = "j") -> list[tuple[str, Any, Any]]:
    """Type, progress and message of a job's events since its start."""
    found = [(event.type, orjson.loads(event.data)) for event in reader.log(f"job:{job_id}")][2:]
    return [(type, data["progress"], data["message"]) for type, data in found]


async def test_calls_closer_together_are_merged_and_the_end_takes_the_last_along(
    face: Any, redis_url: str, prefix: str, reader: Reader
) -> None:
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        async with within(pub.job("j", kind="k", progress_interval_s=HOUR)) as job:
            for n in range(1000):
                await done(job.progress(n / 10))
            await done(job.progress(message="last words"))
            await done(job.fail("broke"))
            with pytest.raises(JobFinished):
                await done(job.progress(1))
    assert told(reader) == [("job.progress", 0, None), ("job.failed", 99.9, "last words")]


async def test_the_last_is_sent_although_no_call_follows(
    face: Any, redis_url: str, prefix: str, reader: Reader
) -> None:
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        job = pub.job("j", kind="k", progress_interval_s=0.05)
        job = job if face is Publisher else await job
        for n in range(10):
            await done(job.progress(n, message=f"n{n}"))
        await until(lambda: told(reader)[-1:] == [("job.progress", 9, "n9")], "the last progress")
        await done(job.complete())


async def test_closing_and_retrying_send_what_waits(face: Any, redis_url: str, prefix: str, reader: Reader) -> None:
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        for name in ("a", "b"):
            job = pub.job(name, kind="k", progress_interval_s=HOUR)
            job = job if face is Publisher else await job
            await done(job.progress(1))
            await done(job.progress(2, message="two"))
            if name == "a":
                await done(job.retrying("again"))
    assert told(reader, "a") == [("job.progress", 1, None), ("job.progress", 2, "two"), ("job.retrying", 2, "again")]
    assert told(reader, "b") == [("job.progress", 1, None), ("job.progress", 2, "two")]


async def test_without_an_interval_every_call_is_an_event(
    face: Any, redis_url: str, prefix: str, reader: Reader
) -> None:
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        async with within(pub.job("j", kind="k")) as job:
            for n in range(5):
                await done(job.progress(n))
    assert len(told(reader)) == 6


def test_what_waits_at_a_fork_is_the_parents(redis_url: str, prefix: str, reader: Reader) -> None:
    with Publisher.from_url(redis_url, prefix=prefix) as pub, pub.job("j", kind="k", progress_interval_s=HOUR) as job:
        job.progress(1)
        job.progress(2)
        child = os.fork()
        if not child:
            code = 1
            try:
                pub.close()
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert told(reader) == [("job.progress", 1, None)]


@pytest.mark.parametrize("wrong", [-1, "x", float("nan"), 3601, True])
def test_a_bad_interval_is_refused(wrong: Any) -> None:
    pub = RecordingPublisher()
    with pytest.raises(ValueError, match="progress_interval_s"):
        pub.job("j", kind="k", progress_interval_s=wrong)
    assert pub.events == []

"""What task code has without a queue: a handle that does nothing, headers, and a mark."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from publisher import current_job, job_headers, reported
from publisher.blocking.job_handle import JobHandle
from publisher.integrations.rules import job_id_of, order


def test_outside_of_a_job_the_handle_takes_every_call_and_does_nothing() -> None:
    job = current_job()
    job.progress(50, message="half")
    with job.stage("load") as inside:
        assert list(inside.track([1, 2])) == [1, 2]
    public = {name for name in dir(JobHandle) if not name.startswith("_")} - {"send_waiting"}  # the publisher's own
    assert public <= set(dir(job))


async def test_outside_of_a_job_the_handle_may_be_awaited() -> None:
    async def numbers() -> AsyncIterator[int]:
        yield 1

    job = current_job()
    assert await job.progress(50) is None
    async with job.stage("load") as inside:
        assert [n async for n in inside.track(numbers())] == [1]
        assert [n async for n in inside.track([2])] == [2]


def test_headers_are_flat_text_and_bad_ids_are_refused_at_once() -> None:
    headers = job_headers(owner="ann", kind="film", meta={"n": 1})
    assert headers == {"sse_owner": "ann", "sse_kind": "film", "sse_meta": '{"n":1}'}
    bad: list[dict[str, Any]] = [{"owner": "a b"}, {"kind": ""}, {"meta": [1]}, {"meta": {"n": float("nan")}}]
    for each in bad:
        with pytest.raises(ValueError):
            job_headers(**each)


def test_a_task_is_a_job_if_it_is_for_somebody_or_marked() -> None:
    @reported
    def plain() -> None: ...

    @reported(kind="film")
    def named() -> None: ...

    wrapped = functools.wraps(named)(lambda: None)
    assert order("1", "name", {}, len) is None
    assert [found.kind for each in (plain, named, wrapped) if (found := order("1", "name", None, each))] == [
        *("name", "film", "film")
    ]
    queued = order("1", "name", job_headers(), len)
    assert queued is not None and (queued.owner, queued.meta) == (None, None)


@pytest.mark.parametrize("headers", [{"sse_owner": "a b"}, {"sse_owner": 7}, {"sse_meta": "{"}, {"sse_meta": "[1]"}])
def test_headers_of_a_stranger_are_a_log_line(headers: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    assert order("1", "name", headers, len) is None
    assert "its headers cannot be read" in caplog.text


def test_a_task_id_that_no_channel_takes_is_mapped_always_the_same() -> None:
    assert job_id_of("42") == "42"
    assert job_id_of("a b") == job_id_of("a b") != job_id_of("a c")

"""The story of a task, the same over all queues: real workers, real Redis, and a viewer at a real node."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from publisher import Publisher
from tests.integrations.bench import Bench
from tests.integrations.benches import each
from tests.integrations.standing import has
from tests.support.eventsource import EventSource
from tests.support.node import Node
from tests.support.tokens import token
from tests.support.waiting import wait_until


@pytest.fixture(params=each())
def bench(request: pytest.FixtureRequest, bench_of: Callable[[type[Bench]], Any]) -> Iterator[Bench]:
    """The queue, without a worker unless an earlier row has left one."""
    found: Bench = bench_of(request.param)
    yield found
    print(found.said())


@pytest.fixture
def working(bench: Bench) -> Bench:
    """The queue with its worker."""
    bench.ensure_worker()
    return bench


async def killed_in_mid_job(bench: Bench, node: Node, on_worker_lost: str, last: str) -> tuple[str, dict[str, Any]]:
    """The id of a job whose worker is killed at work, and what its viewer is told by the event of type ``last``."""
    await asyncio.to_thread(bench.start, on_worker_lost, measured=False)
    job_id = await asyncio.to_thread(lambda: bench.queue("wait", owner="ann"))
    async with EventSource(node.base, f"/v1/jobs/{job_id}/events", token=token("ann")) as viewer:
        await viewer.next_of_type("job.progress")
        await asyncio.to_thread(bench.kill)
        return job_id, json.loads((await viewer.next_of_type(last)).data)


async def test_a_viewer_is_told_of_a_worker_that_is_killed(bench: Bench, node: Node) -> None:
    _, told = await killed_in_mid_job(bench, node, "fail", "job.failed")
    assert (told["status"], told["error"]["code"]) == ("failed", "worker_lost")


async def test_a_task_whose_worker_was_killed_is_run_again(bench: Bench, node: Node, pub: Publisher) -> None:
    """Its viewer sees it pending, and then at work again. Cancelling it in mid-job ends that."""
    job_id, told = await killed_in_mid_job(bench, node, "wait", "job.retrying")
    assert (told["status"], told["attempt"]) == ("pending", 2)
    if bench.runs_again:
        await asyncio.to_thread(bench.start)
        await asyncio.to_thread(has, pub, job_id, "active", 2)
    await asyncio.to_thread(pub.cancel_job, job_id)


def test_a_task_goes_from_pending_over_progress_to_its_result(
    working: Bench, pub: Publisher, types: Callable[[str], list[str]]
) -> None:
    job_id = working.queue("paint", 3, owner="ann", kind="picture", meta={"n": 1})
    job = has(pub, job_id, "completed")
    assert (job.kind, job.owner, job.meta, job.attempt) == ("picture", "ann", {"n": 1}, 1)
    assert (job.progress, job.message, job.result) == (100, "stroke 3", {"strokes": 3})
    assert types(job_id) == ["created", "started", "progress", "completed"]
    wait_until(lambda: working.result(job_id) == {"strokes": 3}, "the queue's own result")


def test_a_task_that_raises_fails_its_job(working: Bench, pub: Publisher) -> None:
    job_id = working.queue("broken", owner="ann")
    job = has(pub, job_id, "failed")
    assert job.error is not None
    assert (job.error["message"], job.error["code"]) == ("There is no paint.", "LookupError")
    assert (job.attempt, job.kind.rpartition(".")[2]) == (1, "broken")


def test_a_retry_leaves_the_job_open_and_the_last_failure_ends_it(
    working: Bench, pub: Publisher, types: Callable[[str], list[str]]
) -> None:
    good, hopeless = (working.queue("flaky", failures, owner="ann") for failures in (1, 9))
    job = has(pub, good, "completed")
    assert (job.attempt, job.result) == (2, "try 2")
    assert types(good) == ["created", "started", "retrying", "started", "completed"]
    job = has(pub, hopeless, "failed")
    assert (job.attempt, job.error and job.error["code"]) == (3, "ConnectionError")
    assert job.error is not None and job.error["message"] == "try 3"


def test_a_task_that_is_cancelled_before_its_start_is_not_run(
    working: Bench, pub: Publisher, types: Callable[[str], list[str]]
) -> None:
    first, unwanted = (str(working.places.folder / name) for name in ("first", "unwanted"))
    busy = working.queue("gate", first, owner="ann")
    has(pub, busy, "active")
    behind = working.queue("gate", unwanted, owner="ann")
    job = pub.get_job(behind)
    assert job is not None and (job.status, job.owner) == ("pending", "ann")
    pub.cancel_job(behind)
    after = working.queue("paint", 1, owner="ann")
    (working.places.folder / "first").touch()
    for done in (busy, after):
        has(pub, done, "completed")
    assert not (working.places.folder / "unwanted.begun").exists()
    assert types(behind) == ["created", "cancelled"]


def test_the_page_cancels_a_task_in_mid_job(
    working: Bench, node: Node, pub: Publisher, types: Callable[[str], list[str]]
) -> None:
    """It stops, although its queue would retry other exceptions, and its worker is free."""
    job_id = working.queue("wait", owner="ann")
    has(pub, job_id, "active")
    answer = httpx.post(f"{node.base}/v1/jobs/{job_id}/cancel", headers={"Authorization": f"Bearer {token('ann')}"})
    assert answer.status_code == 200
    has(pub, working.queue("paint", 1, owner="ann"), "completed")
    job = has(pub, job_id, "cancelled")
    assert (job.attempt, types(job_id)[-1]) == (1, "cancelled")


def test_a_task_runs_on_while_the_redis_of_its_events_is_gone(
    working: Bench, pub: Publisher, types: Callable[[str], list[str]]
) -> None:
    job_id = working.queue("gate", str(working.places.folder / "cut"), owner="ann")
    has(pub, job_id, "active")
    working.places.way.refuse()
    working.places.way.cut()
    (working.places.folder / "cut").touch()
    wait_until(lambda: (working.places.folder / "cut.left").exists(), "a task that goes on without its events")
    working.places.way.restore()
    assert has(pub, job_id, "completed").result == "through"
    assert types(job_id) == ["created", "started", "progress", "completed"]
    wait_until(lambda: working.result(job_id) == "through", "the queue's own result")

"""What is taskiq's own in the story of its tasks: plain functions in threads, requeueing, and the ProgressTracker."""

from __future__ import annotations

import asyncio
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from taskiq import InMemoryBroker, SimpleRetryMiddleware

from publisher import Job, Publisher, current_job, job_headers
from publisher.integrations.rules import job_id_of
from publisher.integrations.taskiq import ReportJobs
from publisher.integrations.taskiq_run import guarded
from tests.integrations.bench import Bench
from tests.integrations.benches import alone, working
from tests.integrations.standing import has
from tests.integrations.taskiq_bench import TaskiqBench
from tests.integrations.worker import ELSEWHERE, ROOT, Worker
from tests.support.broker import Broker
from tests.support.waiting import wait_until

pytestmark = alone(TaskiqBench)

HOWTO = Path(__file__).parents[2] / "docs/howto/taskiq.md"


@pytest.fixture
def bench(bench_of: Callable[[type[Bench]], Any]) -> Iterator[TaskiqBench]:
    with working(bench_of, TaskiqBench) as found:
        yield found


def test_what_a_task_s_end_makes_of_its_job(
    bench: TaskiqBench, pub: Publisher, types: Callable[[str], list[str]]
) -> None:
    bare, marked = bench.send("paint", 1), bench.send("marked")
    plain = bench.queue("again", 1, owner="ann")
    back, silent, odd, slow, mirrored = (
        bench.queue(name, owner="ann") for name in ("back", "silent", "odd", "slow", "mirrored")
    )
    named = bench.send("paint", 1, task_id="an id, with what no channel takes", **job_headers(owner="ann"))
    strange = bench.send("paint", 2, sse_owner=["no", "text"], sse_meta="{")
    job = has(pub, marked, "completed")
    assert (job.kind, job.owner, job.result) == ("picture", None, "JobHandle")
    again = has(pub, plain, "completed")
    assert (again.attempt, again.result) == (2, "try 2")
    assert types(plain) == ["created", "started", "retrying", "started", "completed"]
    came = has(pub, back, "completed")
    assert (came.attempt, came.result) == (2, "came back")
    assert has(pub, silent, "completed").result is None
    assert has(pub, odd, "completed").result == {"mine": 1}
    error = has(pub, slow, "failed").error
    assert error is not None and error["code"] == "TimeoutError"
    mirror = has(pub, mirrored, "completed")
    assert (mirror.current, mirror.total) == (1, 4)
    assert has(pub, job_id_of(named), "completed").owner == "ann"
    wait_until(lambda: bench.result(strange) == {"strokes": 2}, "a task with the labels of a stranger")
    assert pub.get_job(bare) is None and pub.get_job(strange) is None


def test_in_memory_a_retry_is_told_before_the_next_try_begins(
    pub: Publisher, events_prefix: str, bench: TaskiqBench, types: Callable[[str], list[str]]
) -> None:
    """Wherever the middleware stands and in the same process."""

    async def run(url: str, *, first: bool, task_id: str) -> Any:
        middlewares = [ReportJobs(url, prefix=events_prefix), SimpleRetryMiddleware()]
        broker = InMemoryBroker(await_inplace=True).with_middlewares(*middlewares[:: 1 if first else -1])

        @broker.task(f"inner-{task_id}", retry_on_error=True)
        async def inner() -> int:
            if current_job().job_id and current_job().attempt == 1:
                raise ConnectionError("try 1")
            return int(current_job().attempt)

        await broker.startup()
        task = await inner.kicker().with_task_id(task_id).with_labels(**job_headers(owner="ann")).kiq()
        found = await task.wait_result(timeout=30)
        later = await inner.kiq()  # for nobody: the owner was the other one's
        await broker.shutdown()
        assert not current_job().job_id
        return found.return_value, later.task_id

    for first in (True, False):
        task_id = f"memory-{first}"
        result, later = asyncio.run(run(bench.places.events_url, first=first, task_id=task_id))
        assert (result, pub.get_job(later)) == (2, None)
        found: Job = has(pub, task_id, "completed")
        assert (found.attempt, found.result) == (2, 2)
        assert types(task_id) == ["created", "started", "retrying", "started", "completed"]


def test_a_guarded_function_reaches_other_processes_as_it_is() -> None:
    function = guarded(len)
    assert function([1]) == 1
    assert guarded(function) is function
    assert pickle.loads(pickle.dumps(function)) is len


def test_the_how_to_s_code_runs(own_broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, enqueue = re.findall(r"```python\n(.*?)```", HOWTO.read_text(), re.DOTALL)
    (tmp_path / "tasks.py").write_text(module.replace("redis://localhost:6379/0", own_broker.url))
    monkeypatch.syspath_prepend(tmp_path)
    found: dict[str, Any] = {}
    exec(enqueue, found)

    async def order() -> str:
        broker = sys.modules["tasks"].broker
        await broker.startup()
        try:
            return str(await found["order_picture"]("user-1"))
        finally:
            await broker.shutdown()

    job_id = asyncio.run(order())
    del sys.modules["tasks"]
    path = ":".join([str(tmp_path), str(ROOT), *ELSEWHERE])
    worker = Worker(["taskiq", "worker", "tasks:broker", "--workers", "1"], {"PYTHONPATH": path}, tmp_path / "log")
    with worker, Publisher.from_url(own_broker.url) as pub:
        job = has(pub, job_id, "completed")
    assert (job.owner, job.kind, job.result) == ("user-1", "picture", {"strokes": 10})


def test_without_taskiq_the_extra_is_named() -> None:
    program = "import sys; sys.modules['taskiq'] = None; import publisher.integrations.taskiq"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert "pip install 'sse-gateway[taskiq]'" in run.stderr

"""What is arq's own in the story of its tasks: retries that it does not tell, time limits, and workers that stop."""

from __future__ import annotations

import copy
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from arq import create_pool
from arq.connections import RedisSettings
from arq.constants import job_key_prefix
from arq.jobs import Job

from publisher import Publisher
from publisher.integrations.arq import enqueue_job
from publisher.integrations.rules import job_id_of
from tests.integrations.arq_bench import ArqBench
from tests.integrations.bench import Bench
from tests.integrations.benches import alone, working
from tests.integrations.standing import has
from tests.integrations.worker import ELSEWHERE, Worker
from tests.support.broker import Broker
from tests.support.publishers import Reader
from tests.support.waiting import wait_until

pytestmark = alone(ArqBench)

HOWTO = Path(__file__).parents[2] / "docs/howto/arq.md"


@pytest.fixture
def bench(bench_of: Callable[[type[Bench]], Any]) -> Iterator[ArqBench]:
    with working(bench_of, ArqBench) as found:
        yield found


def test_what_a_function_s_end_makes_of_its_job(bench: ArqBench, pub: Publisher) -> None:
    bare = bench.runner.run(bench.pool.enqueue_job("paint", 1))
    marked = bench.runner.run(bench.pool.enqueue_job("marked"))
    stranger = copy.copy(bench.pool)
    stranger.job_serializer = lambda task: pickle.dumps({**task, "sse": {"sse_owner": "no id", "sse_meta": 5}})
    strange = bench.runner.run(stranger.enqueue_job("paint", 2))
    odd = bench.queue("paint", 1, owner="ann", _job_id="an id, with what no channel takes")
    slow, restless = bench.queue("slow", owner="ann"), bench.queue("again", owner="ann")
    done = has(pub, marked.job_id, "completed")
    assert (done.kind, done.result, done.progress) == ("picture", None, 100)
    assert has(pub, job_id_of(odd), "completed").owner == "ann"
    wait_until(lambda: bench.result(strange.job_id) == {"strokes": 2}, "a task with the headers of a stranger")
    assert pub.get_job(strange.job_id) is None
    error = has(pub, slow, "failed").error
    assert error == {"message": "The task took longer than 0.3 s.", "code": "TimeoutError", "details": None}
    last = has(pub, restless, "failed")
    assert (last.attempt, last.error and last.error["message"]) == (3, "max 3 retries exceeded")
    assert pub.get_job(bare.job_id) is None
    assert bench.runner.run(bench.pool.exists(job_key_prefix + bare.job_id)) == 0
    assert bench.runner.run(enqueue_job(bench.pool, "paint", 1, owner="bob", _job_id=odd)) is None


def test_a_worker_that_is_stopped_gives_its_job_back(
    bench: ArqBench, pub: Publisher, types: Callable[[str], list[str]]
) -> None:
    """At the last try it fails it: arq would refuse another one."""
    job_id = bench.queue("hang", owner="ann")
    has(pub, job_id, "active")
    bench.stop()
    given_back = has(pub, job_id, "pending", 2)
    assert given_back.message == "Its worker is being stopped."
    bench.ensure_worker()
    has(pub, job_id, "active", 2)
    bench.stop()
    error = has(pub, job_id, "failed").error
    assert error is not None
    assert (error["message"], error["code"]) == ("max 2 retries exceeded", "JobExecutionFailed")
    assert types(job_id) == ["created", "started", "retrying", "started", "failed"]


def test_a_task_that_is_aborted_is_cancelled(bench: ArqBench, pub: Publisher) -> None:
    job_id = bench.queue("hang", owner="ann")
    has(pub, job_id, "active")
    bench.runner.run(Job(job_id, bench.pool).abort(timeout=None))
    assert has(pub, job_id, "cancelled").attempt == 1


def test_the_events_redis_is_that_of_the_environment_before_that_of_the_worker(
    bench: ArqBench, monkeypatch: pytest.MonkeyPatch, pub: Publisher
) -> None:
    monkeypatch.setenv("SSE_REDIS_URL", bench.places.queue_url)
    monkeypatch.setenv("SSE_PREFIX", "own")
    job_id = bench.queue("paint", 1, owner="ann")
    reader = Reader(bench.places.queue_url, "own")
    assert reader.types(f"job:{job_id}") == ["job.created"]
    reader.close()
    assert has(pub, job_id, "completed").owner == "ann"
    with pytest.raises(ValueError, match="owner"):
        bench.queue("paint", 1, owner="not an id")


def test_the_how_to_s_code_runs(bench: ArqBench, own_broker: Broker, tmp_path: Path) -> None:
    module, enqueue = re.findall(r"```python\n(.*?)```", HOWTO.read_text(), re.DOTALL)
    (tmp_path / "tasks.py").write_text(module.replace("redis://localhost:6379/0", own_broker.url))
    found: dict[str, Any] = {}
    exec(enqueue, found)

    async def order() -> str:
        async with await create_pool(RedisSettings.from_dsn(own_broker.url)) as pool:
            return str(await found["order_picture"](pool, "user-1"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSE_REDIS_URL", own_broker.url)
        job_id = bench.runner.run(order())
    worker = Worker(
        ["arq", "tasks.WorkerSettings"], {"PYTHONPATH": os.pathsep.join([str(tmp_path), *ELSEWHERE])}, tmp_path / "log"
    )
    with worker, Publisher.from_url(own_broker.url) as own:
        job = has(own, job_id, "completed")
    assert (job.owner, job.kind, job.result) == ("user-1", "picture", {"strokes": 10})


def test_without_arq_the_extra_is_named() -> None:
    program = "import sys; sys.modules['arq'] = None; import publisher.integrations.arq"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert "pip install 'sse-gateway[arq]'" in run.stderr

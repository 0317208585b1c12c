"""What Dramatiq alone has, with a real worker. What all queues have is in ``test_story.py``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware.asyncio import AsyncIO

from publisher import JobCancelled, Publisher, current_job, job_headers
from publisher.integrations.dramatiq import ReportJobs
from tests.integrations import async_work
from tests.integrations.bench import Bench
from tests.integrations.benches import alone, working
from tests.integrations.dramatiq_bench import DramatiqBench
from tests.integrations.standing import has

pytestmark = alone(DramatiqBench)


@pytest.fixture
def bench(bench_of: Callable[[type[Bench]], Any]) -> Iterator[DramatiqBench]:
    with working(bench_of, DramatiqBench) as found:
        yield found


def test_a_marked_actor_s_message_is_a_job_and_an_unmarked_one_s_is_not(bench: DramatiqBench, pub: Publisher) -> None:
    plain, marked = bench.tasks.paint.send(1), bench.tasks.marked.send()
    assert has(pub, marked.message_id, "completed").kind == "picture"
    assert plain.get_result(backend=bench.tasks.backend, block=True) == {"strokes": 1}
    assert pub.get_job(plain.message_id) is None


def test_an_actor_that_is_too_slow_fails_with_dramatiq_s_own_word(bench: DramatiqBench, pub: Publisher) -> None:
    slow = bench.queue("slow", owner="ann")
    error = has(pub, slow, "failed").error
    assert error is not None and error["code"] == "TimeLimitExceeded"


def test_a_message_that_dramatiq_gives_up_fails_its_job(bench: DramatiqBench, pub: Publisher) -> None:
    """It was behind another one until it was too old."""
    gate = bench.places.folder / "old"
    bench.queue("gate", str(gate), owner="ann")
    old = bench.queue("old", owner="ann")
    gate.touch()
    job = has(pub, old, "failed")
    assert (job.attempt, job.error and job.error["code"]) == (1, "NeverRun")


class Skips(dramatiq.Middleware):
    """What other middleware may do: skip a message."""

    def before_process_message(self, broker: Any, message: Any) -> None:
        if message.actor_name == "skipped":
            raise dramatiq.middleware.SkipMessage("not today")


@pytest.mark.parametrize("last", [True, False], ids=["last", "first"])
def test_in_one_process_with_every_way_that_a_message_may_go(
    redis_url: str, prefix: str, pub: Publisher, last: bool
) -> None:
    """Wherever the middleware stands, and where others are in its way."""
    reports, others = ReportJobs(redis_url, prefix=prefix), [AsyncIO(), dramatiq.middleware.Retries(), Skips()]
    broker = StubBroker(middleware=[*others, reports] if last else [reports, *others])
    broker.emit_after("process_boot")

    @dramatiq.actor(broker=broker, max_retries=2, min_backoff=1, max_backoff=1)
    def flaky(failures: int) -> str:
        if current_job().attempt <= failures:
            raise ConnectionError
        return "done"

    @dramatiq.actor(broker=broker, throws=KeyError)
    def ends() -> None:
        with Publisher.from_url(redis_url, prefix=prefix) as mine:
            mine.cancel_job(current_job().job_id)
        current_job().raise_if_cancelled()

    @dramatiq.actor(broker=broker)
    def skipped() -> None:
        pass

    @dramatiq.actor(broker=broker)
    def odd() -> object:
        return object()

    gentle = dramatiq.actor(broker=broker)(async_work.gentle)
    mine = job_headers(owner="ann", kind="any")
    sent = {
        name: actor.send_with_options(args=args, **headers).message_id
        for name, actor, args, headers in (
            ("good", flaky, (1,), mine),
            ("hopeless", flaky, (9,), mine),
            ("unwanted", flaky, (9,), mine),
            ("ended", ends, (), mine),
            ("skipped", skipped, (), mine),
            ("odd", odd, (), mine),
            ("gentle", gentle, (), mine),
            ("strange", odd, (), {"sse_owner": ["nobody"]}),
        )
    }
    worker = dramatiq.Worker(broker, worker_timeout=10, worker_threads=1)
    with Publisher.from_url(redis_url, prefix=prefix) as pub:
        first = pub.get_job(sent["good"])
        assert first is not None and (first.status, first.kind, first.owner) == ("pending", "any", "ann")
        pub.cancel_job(sent["unwanted"])
        worker.start()
        assert has(pub, sent["good"], "completed").attempt == 2
        job = has(pub, sent["hopeless"], "failed")
        assert (job.attempt, job.error and job.error["code"]) == (3, "ConnectionError")
        for name in ("unwanted", "ended", "skipped"):
            assert has(pub, sent[name], "cancelled").attempt == 1
        assert has(pub, sent["odd"], "completed").result is None
        assert has(pub, sent["gentle"], "completed").result == "1: [1, 2, 3, 4]"
        broker.join("default", timeout=20_000, fail_fast=False)
        worker.stop()
        assert pub.get_job(sent["strange"]) is None
    assert [letter.message_id for letter in broker.dead_letters] == [sent["ended"], sent["hopeless"]]
    assert ends.options["throws"] == (KeyError, JobCancelled)
    broker.close()


def test_without_retries_a_failure_is_the_last(redis_url: str, prefix: str) -> None:
    broker = StubBroker(middleware=[])
    broker.add_middleware(ReportJobs(redis_url, prefix=prefix))

    @dramatiq.actor(broker=broker)
    def broken() -> None:
        raise LookupError("There is no paint.")

    message = broken.send_with_options(**job_headers(owner="ann"))
    worker = dramatiq.Worker(broker, worker_timeout=10, worker_threads=1)
    worker.start()
    with Publisher.from_url(redis_url, prefix=prefix) as pub:
        error = has(pub, message.message_id, "failed").error
    assert error is not None and error["message"] == "There is no paint."
    worker.stop()
    broker.close()


def test_bad_options_are_refused_at_once(redis_url: str) -> None:
    with pytest.raises(ValueError, match="lease_s"):
        ReportJobs(redis_url, lease_s=-1)
    with pytest.raises(TypeError, match="does not take color"):
        ReportJobs(redis_url, color="red")  # type: ignore[call-arg]


def test_without_dramatiq_the_extra_is_named() -> None:
    program = "import sys; sys.modules['dramatiq'] = None; import publisher.integrations.dramatiq"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert "pip install 'sse-gateway[dramatiq]'" in run.stderr

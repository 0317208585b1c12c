"""What RQ alone has, with a real worker. What all queues have is in ``test_story.py``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
import rq
from rq.command import send_stop_job_command
from rq.timeouts import TimerDeathPenalty

from publisher import Publisher
from publisher.integrations.rq import ReportingWorker, enqueue
from publisher.integrations.rq_settings import report_options
from publisher.integrations.rules import job_id_of
from tests.integrations import async_work, rq_tasks, work
from tests.integrations.bench import Bench, surrounded
from tests.integrations.benches import alone, working
from tests.integrations.rq_bench import RqBench
from tests.integrations.standing import has
from tests.support.broker import Broker

pytestmark = alone(RqBench)


class WorkerInThisProcess(ReportingWorker, rq.SimpleWorker):
    """Leaves the signals of this process alone."""

    death_penalty_class = TimerDeathPenalty

    def _install_signal_handlers(self) -> None:
        pass


@pytest.fixture
def bench(bench_of: Callable[[type[Bench]], Any]) -> Iterator[RqBench]:
    with working(bench_of, RqBench) as found:
        with surrounded({"SSE_REDIS_URL": found.places.events_url, "SSE_PREFIX": found.places.prefix}):
            yield found


def test_a_process_that_is_killed_fails_its_job_unless_rq_tries_again(bench: RqBench, pub: Publisher) -> None:
    once = enqueue(bench.rq, rq_tasks.die, 9, owner="ann")
    error = has(pub, once.id, "failed").error
    assert error is not None and error["code"] == "worker_lost"
    again = enqueue(bench.rq, rq_tasks.die, 1, owner="ann", retry=rq.Retry(max=1))
    job = has(pub, again.id, "completed")
    assert (job.attempt, job.result) == (2, "alive")


def test_a_worker_that_spawns_a_process_for_each_job_reports_it(bench: RqBench, pub: Publisher) -> None:
    """In a queue of its own; the process knows of the worker what RQ hands on."""
    queue = rq.Queue("spawned", connection=bench.client)
    painted = enqueue(queue, work.paint, 2, owner="ann")
    killed = enqueue(queue, rq_tasks.die, 9, owner="ann")
    again = enqueue(queue, rq_tasks.die, 1, owner="ann", retry=rq.Retry(max=1))
    words = ["-w", "tests.integrations.rq_tasks.SpawningWorker", "--url", bench.places.queue_url, "--burst", queue.name]
    subprocess.run([sys.executable, "-m", "rq.cli", "worker", *words], check=True, capture_output=True, timeout=120)
    assert has(pub, painted.id, "completed").result == {"strokes": 2}
    error = has(pub, killed.id, "failed").error
    assert error is not None and error["code"] == "worker_lost"
    assert has(pub, again.id, "completed").attempt == 2


def test_who_stops_a_job_in_rq_cancels_it(bench: RqBench, pub: Publisher) -> None:
    running = enqueue(bench.rq, work.gate, str(bench.places.folder / "never"), owner="ann")
    has(pub, running.id, "active")
    send_stop_job_command(bench.client, running.id)
    assert has(pub, running.id, "cancelled").attempt == 1


def test_a_coroutine_is_awaited_and_cancelled_like_any_function(bench: RqBench, pub: Publisher) -> None:
    running = enqueue(bench.rq, async_work.wait, owner="ann", retry=rq.Retry(max=2))
    has(pub, running.id, "active")
    pub.cancel_job(running.id)
    painted = enqueue(bench.rq, async_work.paint, 2, owner="ann")
    job = has(pub, painted.id, "completed")
    assert (job.message, job.result) == ("stroke 2", {"strokes": 2})
    assert (has(pub, running.id, "cancelled").attempt, running.get_status()) == (1, "stopped")


def test_a_job_that_is_too_slow_fails_with_rq_s_own_word(bench: RqBench, pub: Publisher) -> None:
    slow = enqueue(bench.rq, work.hang, owner="ann", job_timeout=1)
    error = has(pub, slow.id, "failed").error
    assert error is not None and error["code"] == "JobTimeoutException"


def test_bad_ids_are_refused_before_anything_is_queued(bench: RqBench) -> None:
    given: list[dict[str, Any]] = [
        {"owner": "an n"},
        {"kind": ""},
        {"owner": "ann", "job_meta": {"n": {1}}},
        {"owner": 7},
    ]
    for bad in given:
        with pytest.raises(ValueError):
            enqueue(bench.rq, work.gate, "nowhere", **bad)
    assert bench.rq.count == 0


def test_the_queue_s_own_redis_takes_the_events_if_no_other_is_set(redis_url: str, own_broker: Broker) -> None:
    """In one process, and with every way that a task may go."""
    with redis.Redis.from_url(own_broker.url) as client, Publisher.from_url(own_broker.url) as pub:
        queue = rq.Queue(connection=client)
        by_rq = queue.enqueue(rq_tasks.marked)
        alone = queue.enqueue(work.paint, 1)
        done = enqueue(queue, work.paint, 2, owner="ann", kind="picture", job_meta={"n": 1}, meta={"mine": object})
        waiting = pub.get_job(done.id)
        assert waiting is not None
        assert (waiting.status, waiting.kind, waiting.owner, waiting.meta) == ("pending", "picture", "ann", {"n": 1})
        broken = enqueue(queue, work.broken, owner="ann")
        flaky = enqueue(queue, work.flaky, 1, owner="ann", retry=rq.Retry(max=2))
        unwanted = enqueue(queue, work.flaky, 9, owner="ann", retry=rq.Retry(max=2))
        pub.cancel_job(unwanted.id)
        twice, too_often = (enqueue(queue, rq_tasks.asks_again, times, owner="ann") for times in (1, 9))
        share, counts, words = (
            enqueue(queue, rq_tasks.mirrored, said, owner="ann")
            for said in (40, {"current": 1, "total": 4}, "half of it")
        )
        odd = enqueue(queue, rq_tasks.odd, owner="ann")
        gentle = enqueue(queue, rq_tasks.gentle, owner="ann")
        strange = queue.enqueue(work.paint, 1, meta={"sse_owner": ["nobody"], "sse_meta": 7})
        WorkerInThisProcess([queue], connection=client).work(burst=True, logging_level="WARNING")

        assert has(pub, by_rq.id, "completed").kind == "picture"
        assert (pub.get_job(alone.id), alone.return_value()) == (None, {"strokes": 1})
        assert has(pub, done.id, "completed").result == {"strokes": 2}
        assert has(pub, broken.id, "failed").kind == "tests.integrations.work.broken"
        assert (has(pub, flaky.id, "completed").attempt, flaky.return_value()) == (2, "try 2")
        assert (has(pub, unwanted.id, "cancelled").attempt, unwanted.get_status()) == (1, "stopped")
        assert has(pub, twice.id, "completed").attempt == 2
        job = has(pub, too_often.id, "failed")
        assert (job.attempt, job.error and job.error["code"]) == (2, "TriesExceeded")
        assert has(pub, counts.id, "completed").current == 1
        assert has(pub, gentle.id, "completed").result == "1: [1, 2, 3, 4]"
        for each in (share, words):
            assert (has(pub, each.id, "completed").result, each.return_value()) == ("mirrored", "mirrored")
        assert (has(pub, odd.id, "completed").result, odd.return_value()) == (None, {1, 2})
        assert (pub.get_job(job_id_of(strange.id)), strange.return_value()) == (None, {"strokes": 1})


def test_a_job_that_rq_runs_at_once_is_not_left_pending(own_broker: Broker) -> None:
    with redis.Redis.from_url(own_broker.url) as client, Publisher.from_url(own_broker.url) as pub:
        ran = enqueue(rq.Queue(connection=client, is_async=False), work.paint, 1, owner="ann")
        assert (ran.return_value(), pub.get_job(ran.id)) == ({"strokes": 1}, None)


def test_reporting_costs_one_call_where_a_task_is_queued_and_two_where_it_runs(
    bench: RqBench, own_broker: Broker
) -> None:
    queue = rq.Queue("counted", connection=bench.client)
    with surrounded({"SSE_REDIS_URL": own_broker.url}), redis.Redis.from_url(own_broker.url) as events:
        for run in ("scripts are loaded", "counted"):
            if run == "counted":
                events.config_resetstat()
            enqueue(queue, rq_tasks.odd, owner="ann")
            at_queueing = events.info("commandstats")["cmdstat_evalsha"]["calls"]
            WorkerInThisProcess([queue], connection=bench.client).work(burst=True, logging_level="WARNING")
        stats = events.info("commandstats")
    assert (at_queueing, stats["cmdstat_evalsha"]["calls"]) == (1, 3)
    assert not {"cmdstat_hgetall", "cmdstat_eval", "cmdstat_script|load"} & stats.keys()


def test_settings_are_read_from_the_environment() -> None:
    given = {"SSE_PREFIX": "p", "SSE_LEASE_S": "9", "SSE_ON_WORKER_LOST": "wait", "SSE_TRACEBACKS": "1"}
    assert report_options(given) == {"prefix": "p", "lease_s": 9.0, "on_worker_lost": "wait", "tracebacks": True}
    assert report_options({"SSE_LEASE_S": ""}) == {}


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("SSE_LEASE_S", "soon", "it must be a number of seconds, not 'soon'."),
        ("SSE_LEASE_S", "0", "lease_s must be 0.2 to 86400 seconds"),
        ("SSE_TRACEBACKS", "perhaps", "it must be 1 or 0, not 'perhaps'."),
        ("SSE_ON_WORKER_LOST", "retry", "on_worker_lost must be 'fail' or 'wait', not 'retry'."),
        ("SSE_PREFIX", "a b", "The Redis prefix must have"),
        ("SSE_REDIS_URL", "http://x", "A Redis URL has one of these forms"),
    ],
)
def test_a_setting_that_makes_no_sense_ends_the_worker_with_its_name(
    bench: RqBench, name: str, value: str, why: str
) -> None:
    """Before it has taken anything. RQ's command line shows the sentence, and where it was raised."""
    with surrounded({"SSE_REDIS_URL": "redis://127.0.0.1:1/7", name: value}):
        with pytest.raises(ValueError, match=f"{name} makes no sense: {why}"):
            enqueue(bench.rq, work.paint, 1, owner="ann")
        command = [sys.executable, "-m", *bench.arguments()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert f"{name} makes no sense: {why}" in done.stderr.splitlines()[0]
    assert done.returncode == 1


def test_without_rq_the_extra_is_named() -> None:
    program = "import sys; sys.modules['rq'] = None; import publisher.integrations.rq"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert "pip install 'sse-gateway[rq]'" in run.stderr

"""What Celery alone has, with a real worker and Redis as its broker. What all queues have is in ``test_story.py``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, signals

from publisher import Publisher, job_headers
from publisher.integrations.celery import report
from publisher.integrations.rules import job_id_of
from tests.integrations import work
from tests.integrations.bench import Bench, load
from tests.integrations.benches import alone, working
from tests.integrations.celery_bench import CeleryBench, close
from tests.integrations.standing import has
from tests.integrations.worker import Worker
from tests.support.broker import Broker
from tests.support.waiting import wait_until

pytestmark = alone(CeleryBench)


@pytest.fixture
def bench(bench_of: Callable[[type[Bench]], Any]) -> Iterator[CeleryBench]:
    with working(bench_of, CeleryBench) as found:
        yield found


@pytest.fixture
def tasks(bench: CeleryBench) -> Any:
    """The module of the tasks, as the web server that queues them has it."""
    return bench.tasks


def test_a_marked_task_is_a_job_and_an_unmarked_one_is_left_alone(tasks: Any, pub: Publisher) -> None:
    marked, plain = tasks.marked.delay(), tasks.paint.delay(1)
    assert has(pub, marked.id, "completed").kind == "picture"
    assert plain.get(timeout=30) == {"strokes": 1}
    assert pub.get_job(plain.id) is None


def test_an_end_that_the_task_gave_its_job_stays(tasks: Any, pub: Publisher) -> None:
    odd = tasks.odd.apply_async(headers=job_headers())
    assert odd.get(timeout=30) == "ignored"
    assert has(pub, odd.id, "completed").result == {"mine": 1}


def test_celery_s_own_progress_is_mirrored_also_under_a_strange_task_id(
    bench: CeleryBench, tasks: Any, pub: Publisher
) -> None:
    mirrored = tasks.mirrored.apply_async(
        headers=job_headers(), task_id=f"an id of {bench.name}, with what no channel takes"
    )
    assert mirrored.get(timeout=30) is None
    job = has(pub, job_id_of(mirrored.id), "completed")
    assert (job.current, job.total, job.progress) == (1, 4, 100)


def test_what_a_task_says_of_itself_by_an_exception_of_celery(
    tasks: Any, pub: Publisher, types: Callable[[str], list[str]]
) -> None:
    ignored, refused, again = (
        each.apply_async(arguments, headers=job_headers(owner="ann"))
        for each, arguments in ((tasks.ignored, []), (tasks.rejected, [False]), (tasks.rejected, [True]))
    )
    assert has(pub, ignored.id, "completed").result is None
    error = has(pub, refused.id, "failed").error
    assert error is not None and (error["message"], error["code"]) == ("No paint today.", "Rejected")
    job = has(pub, again.id, "completed")
    assert (job.result, job.attempt) == ("came back", 2)
    assert types(again.id) == ["created", "started", "retrying", "started", "completed"]


def test_who_revokes_a_task_cancels_its_job(tasks: Any, bench: Bench, pub: Publisher) -> None:
    gate = str(bench.places.folder / "revoked")
    busy = tasks.gate.apply_async([gate], headers=job_headers(owner="ann"))
    has(pub, busy.id, "active")
    unwanted = tasks.paint.apply_async([1], headers=job_headers(owner="ann"))
    tasks.app.control.revoke(unwanted.id, reply=True, timeout=20, limit=1)
    Path(gate).touch()
    assert has(pub, unwanted.id, "cancelled").result is None


def test_who_cancels_a_job_revokes_its_task(tasks: Any, pub: Publisher) -> None:
    running = tasks.wait.apply_async(headers=job_headers(owner="ann"))
    has(pub, running.id, "active")
    unwanted = tasks.paint.apply_async([2], headers=job_headers(owner="ann"))
    for each in (unwanted, running):
        pub.cancel_job(each.id)
    wait_until(lambda: running.state == unwanted.state == "REVOKED", "both tasks revoked")


def test_a_process_that_is_killed_fails_its_job(tasks: Any, pub: Publisher) -> None:
    """A task that is too slow is killed by Celery, and its job says so."""
    killed = tasks.die.apply_async(headers=job_headers(owner="ann"))
    slow = tasks.slow.apply_async(headers=job_headers(owner="ann"))
    for each, code in ((killed, "worker_lost"), (slow, "TimeLimitExceeded")):
        error = has(pub, each.id, "failed").error
        assert error is not None and error["code"] == code
    slow.revoke()  # a killed process may make Celery run it again, and again, before all that comes behind it


def test_a_second_report_changes_nothing_and_says_so(redis_url: str, caplog: pytest.LogCaptureFixture) -> None:
    app = Celery("again", broker="memory://", set_as_current=False)
    report(app, redis_url)
    receivers = len(signals.before_task_publish.receivers)
    report(app, "redis://elsewhere", prefix="other")
    assert len(signals.before_task_publish.receivers) == receivers
    assert caplog.text.count("is reported already; what another report() says does not count.") == 1
    app.close()


def test_each_application_of_a_process_reports_its_own_tasks(redis_url: str, prefix: str) -> None:
    """Celery shares tasks among all of them, and tells all of them what any of them queues."""
    apps = [Celery(name, broker="memory://", set_as_current=False) for name in ("one", "two")]
    name = f"shared-{prefix}"
    apps[0].task(name=name)(work.broken)
    for app in apps:
        report(app, redis_url, prefix=f"{prefix}{app.main}")
        assert name in app.tasks
    with ExitStack() as stack:
        one, two = (stack.enter_context(Publisher.from_url(redis_url, prefix=f"{prefix}{app.main}")) for app in apps)
        by_task = apps[0].tasks[name].apply_async(headers=job_headers(owner="ann"))
        by_name = apps[1].send_task(name, headers=job_headers(owner="ann"))
        found = [[pub.get_job(each.id) is not None for each in (by_task, by_name)] for pub in (one, two)]
    assert found == [[True, False], [False, True]]
    for app in apps:
        app.close()


def test_a_failure_tells_its_traceback_where_that_is_wanted(tasks: Any, pub: Publisher) -> None:
    """The soft limit is a failure like any other."""
    soft = tasks.soft.apply_async(headers=job_headers(owner="ann"))
    error = has(pub, soft.id, "failed").error
    assert error is not None and error["code"] == "SoftTimeLimitExceeded"
    assert "in hang" in error["details"]["traceback"]
    giant = tasks.giant.apply_async(headers=job_headers(owner="ann"))
    assert has(pub, giant.id, "completed").result is None
    assert len(giant.get(timeout=30)) == 300_000


def test_a_task_is_queued_and_runs_without_the_redis_of_its_events(
    bench: Bench, own_broker: Broker, prefix: str, tmp_path: Path
) -> None:
    own_broker.stop()
    environment = {**bench.places.environment, "EVENTS_URL": own_broker.url, "QUEUE": prefix}
    module = load("celery_tasks", environment)
    task = module.paint.apply_async([1], headers=job_headers(owner="ann"))
    with Worker(bench.arguments(), environment, tmp_path / "log", measured=False):
        assert task.get(timeout=60) == {"strokes": 1}
    close(module.app)


def test_without_celery_the_extra_is_named() -> None:
    program = "import sys; sys.modules['celery'] = None; import publisher.integrations.celery"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert "pip install 'sse-gateway[celery]'" in run.stderr

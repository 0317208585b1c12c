"""What the reporters of all queues make of exceptions and results that are strange."""

from __future__ import annotations

from typing import Any

import pytest

from publisher import Publisher
from publisher.integrations.async_reporter import AsyncReporter
from publisher.integrations.reporter import Reporter
from publisher.integrations.rules import TaskOrder
from tests.support.publishers import done
from tests.support.strange_errors import strange_errors


@pytest.mark.parametrize("kind", [Reporter, AsyncReporter])
async def test_a_task_that_raises_something_strange_leaves_no_job_behind(
    kind: Any, redis_url: str, prefix: str
) -> None:
    reporter = kind(redis_url, prefix=prefix, tracebacks=True)
    with Publisher.from_url(redis_url, prefix=prefix) as pub:
        for number, error in enumerate(strange_errors()):
            order = TaskOrder(f"j{number}", "k", None, None)
            await done(reporter.retry(await done(reporter.begin(order)), error))
            found = pub.get_job(order.job_id)
            assert found is not None and (found.status, found.message) == ("pending", "StrangeError")
            await done(reporter.fail(await done(reporter.begin(order)), error))
            found = pub.get_job(order.job_id)
            assert found is not None and found.error is not None
            assert (found.status, found.error["message"]) == ("failed", "StrangeError")
            assert "StrangeError" in found.error["details"]["traceback"]
    await done(reporter.close())


STRANGERS = [
    TaskOrder("j", "film", "bob", None, kind_given=True),
    TaskOrder("j", "film", None, None, kind_given=True),
    TaskOrder("j", "other", "ann", None, kind_given=True),
]


@pytest.mark.parametrize("kind", [Reporter, AsyncReporter])
async def test_a_task_with_the_id_of_somebody_elses_job_is_not_reported(
    kind: Any, redis_url: str, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever may choose the ids of tasks has no other one's job for it: neither its results nor its end."""
    reporter = kind(redis_url, prefix=prefix)
    with Publisher.from_url(redis_url, prefix=prefix) as pub:
        made = pub.create_job("j", kind="film", owner="ann")
        for order in STRANGERS:
            await done(reporter.queued(order))
            assert await done(reporter.begin(order)) is None
            if isinstance(reporter, Reporter):
                reporter.lost(order)
                reporter.requeued(order)
                reporter.cancel(order)
        assert pub.get_job("j") == made
        assert "Task j is not reported: The job j belongs to another owner." in caplog.text
        assert "Task j is not reported: The job j is of kind film." in caplog.text
        # Where nobody has said of what kind a task is, the job knows.
        job = await done(reporter.begin(TaskOrder("j", "tasks.paint", "ann", None)))
        await done(reporter.complete(job, 1))
        found = pub.get_job("j")
        assert found is not None and (found.status, found.kind) == ("completed", "film")
    await done(reporter.close())

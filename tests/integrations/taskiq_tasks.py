"""The tasks that taskiq's worker runs in the tests. Addresses come from the environment."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated, Any

from taskiq import Context, NoResultError, SimpleRetryMiddleware, TaskiqDepends
from taskiq.depends.progress_tracker import ProgressTracker
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

from publisher import current_job, reported
from publisher.integrations.taskiq import ReportJobs
from tests.integrations import async_work, work

broker = (
    # What nobody has acknowledged is run again soon.
    RedisStreamBroker(os.environ["QUEUE_URL"], idle_timeout=300, xread_block=100, unacknowledged_lock_timeout=2)
    .with_result_backend(RedisAsyncResultBackend(os.environ["QUEUE_URL"]))
    .with_middlewares(
        ReportJobs(os.environ["EVENTS_URL"], prefix=os.environ["PREFIX"], **work.options()),
        SimpleRetryMiddleware(),
    )
)


@broker.task("paint")
async def paint(steps: int) -> dict[str, Any]:
    return await async_work.paint(steps)


@broker.task("broken")
async def broken() -> None:
    work.broken()


@broker.task("flaky", retry_on_error=True, max_retries=3)
async def flaky(failures: int) -> str:
    return work.flaky(failures)


@broker.task("wait", retry_on_error=True, max_retries=9)
async def wait() -> None:
    await async_work.wait()


@broker.task("gate")
async def gate(path: str) -> str:
    return await async_work.gate(path)


@broker.task("marked")
@reported(kind="picture")
def marked() -> str:
    """A plain function, in a thread."""
    current_job().progress(50)
    return type(current_job()).__name__


@broker.task("again", retry_on_error=True, max_retries=2)
def again(failures: int) -> str:
    return work.flaky(failures)


@broker.task("back")
async def back(context: Annotated[Context, TaskiqDepends()]) -> str:
    if current_job().attempt == 1:
        await context.requeue()
    return "came back"


@broker.task("silent")
async def silent() -> None:
    raise NoResultError


@broker.task("odd")
async def odd() -> object:
    await current_job().complete({"mine": 1})
    return {1, 2}


@broker.task("slow", timeout=0.2)
async def slow() -> None:
    await asyncio.sleep(60)


@broker.task("mirrored")
async def mirrored(tracker: Annotated[ProgressTracker[Any], TaskiqDepends()]) -> None:
    await tracker.set_progress("PAINTING", {"current": 1, "total": 4})
    await tracker.set_progress("PAINTING", {"current": "unknown"})

"""arq: ``report(WorkerSettings, "redis://…")`` makes jobs of a worker's tasks, and ``enqueue_job(pool, …)`` queues one
for somebody."""

from __future__ import annotations

import asyncio
import copy
import functools
import pickle
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Final, Unpack

from publisher.asyncio.job_handle import AsyncJobHandle
from publisher.current import running_as
from publisher.exceptions import JobCancelled
from publisher.integrations import policy
from publisher.integrations.arq_queue import FIELD, FUNCTIONS, REPORTERS, enqueue_job
from publisher.integrations.async_reporter import AsyncReporter
from publisher.integrations.policy import ReportOptions
from publisher.integrations.rules import TaskOrder, order

try:
    from arq import Retry, func
    from arq.utils import to_seconds
    from arq.worker import RetryJob
except ImportError as missing:
    raise ImportError("This needs arq: pip install 'sse-gateway[arq]'") from missing

from publisher.integrations.arq_attempt import TaskAttempt, TaskBegan, TaskLimits

__all__ = ["enqueue_job", "report"]

_WRAPPED: Final = "_sse_reported"
_BEGAN: Final = "sse_began"
_headers: ContextVar[object] = ContextVar("publisher.integrations.arq", default=None)


def report(settings: type, url: str, **options: Unpack[ReportOptions]) -> None:
    """Report the tasks of a worker's settings to the Redis at ``url``. Call it below the class; a second call changes
    nothing. Raises ``ValueError`` for options that make no sense. Tasks never fail because of an event."""
    if _WRAPPED in vars(settings):
        return policy.reported_already(settings)
    reporter = AsyncReporter(url, **options)
    REPORTERS[None] = reporter
    _ArqReports(settings, reporter).connect()


class _ArqReports:
    def __init__(self, settings: type, reporter: AsyncReporter) -> None:
        self._settings = settings
        self._reporter = reporter
        self._retries = self._given("retry_jobs", True)

    def _given(self, name: str, otherwise: Any) -> Any:
        return vars(self._settings).get(name, otherwise)  # as arq reads it

    def connect(self) -> None:
        load = self._given("job_deserializer", None) or pickle.loads
        started, stopped = self._given("on_job_start", None), self._given("on_shutdown", None)

        def deserialize(raw: bytes) -> Any:
            """Called in arq's own task for one job, whose context the function gets."""
            task = load(raw)
            _headers.set(task.get(FIELD) if isinstance(task, dict) else None)
            return task

        async def on_job_start(ctx: dict[str, Any]) -> None:
            ctx[_BEGAN] = TaskBegan.now()
            if started is not None:
                await started(ctx)

        async def on_shutdown(ctx: dict[str, Any]) -> None:
            if stopped is not None:
                await stopped(ctx)
            await self._reporter.close()

        functions = [self._wrap(func(each)) for each in self._given("functions", ())]
        setattr(self._settings, _WRAPPED, True)
        changes = {
            "functions": functions,
            "cron_jobs": [self._wrap(each) for each in self._given("cron_jobs", None) or ()],
            "job_deserializer": deserialize,
            "on_job_start": on_job_start,
            "on_shutdown": on_shutdown,
        }
        for name, value in changes.items():
            setattr(self._settings, name, value)

    def _wrap(self, function: Any) -> Any:
        """A function or cron job of arq with the reporting around its coroutine."""
        work = function.coroutine
        FUNCTIONS[function.name] = work
        tries = self._given("max_tries", 5) if function.max_tries is None else function.max_tries
        timeout = self._given("job_timeout", 300) if function.timeout_s is None else function.timeout_s
        limits = TaskLimits(tries, to_seconds(timeout))

        @functools.wraps(work)
        async def reported(ctx: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
            found = order(ctx["job_id"], function.name, _headers.get(), work)
            if found is None:
                return await work(ctx, *args, **kwargs)
            began = ctx.get(_BEGAN) or TaskBegan.now()
            return await self._run(
                found, TaskAttempt(ctx["job_try"], began, limits), lambda: work(ctx, *args, **kwargs)
            )

        wrapped = copy.copy(function)
        wrapped.coroutine = reported
        return wrapped

    async def _run(self, found: TaskOrder, attempt: TaskAttempt, call: Callable[[], Awaitable[Any]]) -> Any:
        # A worker that is stopped meanwhile must know of the job, or nobody would give it back.
        opening = asyncio.ensure_future(self._reporter.begin(found, last_try=attempt.last))
        job: AsyncJobHandle | None = None
        try:
            await asyncio.wait([opening])
            job = await opening
            with running_as(job):
                result = await call()
        except BaseException as error:
            job = job or await opening
            if job is not None:
                await self._left(job, error, attempt)
                if job.cancelled and isinstance(error, Retry | RetryJob):
                    raise JobCancelled(job.job_id) from None
            raise
        if job is not None:
            await self._reporter.complete(job, result)
        return result

    async def _left(self, job: AsyncJobHandle, error: BaseException, attempt: TaskAttempt) -> None:
        ending = attempt.ending(error, retries=self._retries)
        if not ending.again:
            await self._reporter.fail(job, ending.why)
        elif job.cancelled:
            await self._reporter.fail(job, JobCancelled(job.job_id))
        else:
            await self._reporter.retry(job, ending.why)

"""taskiq: ``broker.with_middlewares(ReportJobs("redis://…"))`` makes jobs of a broker's tasks."""

from __future__ import annotations

import asyncio
import functools
import inspect
from typing import Any, Final, Unpack

from publisher.asyncio.job_handle import AsyncJobHandle
from publisher.current import KIND, META, OWNER
from publisher.exceptions import JobCancelled
from publisher.integrations.async_reporter import AsyncReporter
from publisher.integrations.policy import ReportOptions
from publisher.integrations.progress import mirror_async
from publisher.integrations.reporter import Reporter
from publisher.integrations.rules import TaskOrder, order

try:
    from taskiq import NoResultError, TaskiqMessage, TaskiqMiddleware, TaskiqResult
except ImportError as missing:
    raise ImportError("This needs taskiq: pip install 'sse-gateway[taskiq]'") from missing

from publisher.integrations.taskiq_run import TaskRun, guarded, run_of

_WRAPPED: Final = "_sse_reported"


class ReportJobs(TaskiqMiddleware):
    """Reports tasks to the Redis at ``url``: in the processes that queue from when they are sent, and in the workers.
    Where it stands among other middlewares does not matter. Raises ``ValueError`` for options that make no sense.
    Tasks never fail because of an event."""

    def __init__(self, url: str, **options: Unpack[ReportOptions]) -> None:
        super().__init__()
        self._coroutines = AsyncReporter(url, **options)
        self._plain = Reporter(url, **options)
        """For plain functions, which taskiq runs in threads; they report from there."""

    async def startup(self) -> None:
        """Mirror what tasks say to taskiq's ``ProgressTracker``."""
        backend: Any = self.broker.result_backend
        if hasattr(backend, _WRAPPED):
            return
        set_progress = backend.set_progress

        @functools.wraps(set_progress)
        async def mirrored(task_id: str, progress: Any) -> None:
            await set_progress(task_id, progress)
            run = run_of(task_id)
            if run is not None and isinstance(run.job, AsyncJobHandle):
                await mirror_async(progress.meta)

        backend.set_progress = mirrored
        setattr(backend, _WRAPPED, True)

    async def shutdown(self) -> None:
        await self._coroutines.close()
        await asyncio.to_thread(self._plain.close)

    async def pre_send(self, message: TaskiqMessage) -> TaskiqMessage:
        """A task that is sent again when its function has ended is tried again; from then on another worker may
        have it."""
        self._forget_owner(message)
        run = run_of(message.task_id)
        if run is not None and run.error is not None:
            await self._retry(run, run.error)
        return message

    def _forget_owner(self, message: TaskiqMessage) -> None:
        """Up to taskiq 0.11 a kicker writes its labels into the task, for everybody who sends it later."""
        task = self.broker.find_task(message.task_name)
        if task is not None and task.kicker().labels is task.labels:
            for name in (OWNER, KIND, META):
                task.labels.pop(name, None)

    async def post_send(self, message: TaskiqMessage) -> None:
        if run_of(message.task_id) is None and "_retries" not in message.labels:
            found = self._order(message)
            if found is not None:
                await self._coroutines.queued(found)

    async def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
        found = self._order(message)
        task = self.broker.find_task(message.task_name)
        if found is None or task is None:
            return message
        task.original_func = guarded(task.original_func)
        run = TaskRun(message, blocking=not inspect.iscoroutinefunction(task.original_func))
        try:
            run.job = await self._report(run, "begin", found)
        except JobCancelled as unwanted:
            run.unwanted = unwanted
        run.enter()
        return message

    def on_error(self, message: TaskiqMessage, result: TaskiqResult[Any], exception: BaseException) -> None:
        run = run_of(message.task_id)
        if run is not None:
            run.error = exception

    async def post_execute(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:
        """What the other middlewares have made of the result counts: one that retries leaves no result."""
        run = run_of(message.task_id)
        if run is None:
            return
        run.leave()
        if run.job is None:
            return
        without_result = isinstance(result.error, NoResultError)
        if not result.is_err or run.error is None:
            await self._report(run, "complete", run.job, result.return_value)
        elif run.requeued:
            await self._retry(run, RuntimeError("The task asks to be run again."))
        elif without_result and not isinstance(run.error, NoResultError):
            await self._retry(run, run.error)
        elif without_result:
            await self._report(run, "complete", run.job, None)
        else:
            await self._report(run, "fail", run.job, run.error)

    async def _retry(self, run: TaskRun, error: BaseException) -> None:
        job, run.job = run.job, None
        if job is not None and job.cancelled:
            await self._report(run, "fail", job, JobCancelled(job.job_id))
        elif job is not None:
            await self._report(run, "retry", job, error)

    async def _report(self, run: TaskRun, step: str, *args: Any) -> Any:
        """One step of the reporter that is right for the function; see :class:`Reporter`."""
        if run.blocking:
            return await asyncio.to_thread(getattr(self._plain, step), *args)
        return await getattr(self._coroutines, step)(*args)

    def _order(self, message: TaskiqMessage) -> TaskOrder | None:
        task = self.broker.find_task(message.task_name)
        return order(message.task_id, message.task_name, message.labels, getattr(task, "original_func", None))

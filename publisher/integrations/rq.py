"""RQ: ``rq worker -w publisher.integrations.rq.Worker`` makes jobs of a queue's tasks.

The settings of workers and of :func:`enqueue` come from the environment: ``SSE_REDIS_URL`` (the queue's own Redis where
it is not set), ``SSE_PREFIX``, ``SSE_LEASE_S``, ``SSE_ON_WORKER_LOST``, ``SSE_TRACEBACKS`` (1 or 0).
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any, Final

from publisher.blocking.job_handle import JobHandle
from publisher.current import job_headers, running_as
from publisher.exceptions import JobCancelled
from publisher.integrations import queue_redis
from publisher.integrations.awaited import shown_to
from publisher.integrations.progress import mirror
from publisher.integrations.reporter import Reporter
from publisher.integrations.rq_settings import BadSetting, report_options
from publisher.integrations.rules import TaskOrder, order

try:
    import rq
    import rq.job
except ImportError as missing:
    raise ImportError("This needs RQ: pip install 'sse-gateway[rq]'") from missing
_REPORTED: Final = "_sse_reported"
_reporters: Final[dict[str, Reporter]] = {}
"""Those of this process, by URL."""


class TriesExceeded(Exception):
    """A task returned RQ's ``Retry`` once more than it allows."""


def enqueue(
    queue: rq.Queue,
    function: Callable[..., Any] | str,
    *args: Any,
    owner: str | None = None,
    kind: str | None = None,
    job_meta: dict[str, Any] | None = None,
    **options: Any,
) -> rq.job.Job:
    """Queue a task for somebody. ``kind`` is the function's dotted name where it is left out, ``job_meta`` what the
    page gets as the job's meta; everything else is as in ``queue.enqueue()``. The job's id is that of RQ's job.

    Raises ``ValueError``, before anything is queued, for ids that a channel does not allow and bad settings.
    """
    headers = job_headers(owner=owner, kind=kind, meta=job_meta)
    reporter = _reporter_for(queue.connection)
    put: Any = queue.enqueue
    queued: rq.job.Job = put(function, *args, meta={**(options.pop("meta", None) or {}), **headers}, **options)
    found = order(queued.id, str(queued.func_name), headers, function)
    if found is not None and queue.is_async:
        reporter.queued(found)  # whoever was quicker with it has made the same job
    return queued


class ReportingWorker:
    """What reports a worker's tasks. :class:`Worker` is RQ's usual one with it; mix it in before any other class."""

    connection: Any
    is_horse: bool
    _stopped_job_id: str | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._reporter()  # bad settings end the worker before it has taken anything

    def perform_job(self, job: Any, queue: Any, *rest: Any) -> bool:
        """In the process that runs the task."""
        execute = job._execute
        job._execute = lambda: self._run(job, execute)
        done: bool = super().perform_job(job, queue, *rest)  # type: ignore[misc]
        return done

    def handle_job_failure(self, job: Any, queue: Any, *args: Any, **kwargs: Any) -> None:
        """Also called in the worker's main process, where the one that ran the task has died."""
        if not self.is_horse and not hasattr(job, _REPORTED) and (found := _order(job)) is not None:
            if self._stopped_job_id == job.id:
                self._reporter().cancel(found)
            elif _may_retry(job):
                self._reporter().requeued(found)
            else:
                self._reporter().lost(found)
        super().handle_job_failure(job, queue, *args, **kwargs)  # type: ignore[misc]

    def _reporter(self) -> Reporter:
        return _reporter_for(self.connection)

    def _run(self, job: Any, call: Callable[[], Any]) -> Any:
        setattr(job, _REPORTED, True)
        found = _order(job)
        if found is None:
            return call()
        reporter = self._reporter()
        try:
            handle = reporter.begin(found, last_try=not _may_retry(job))
        except JobCancelled:
            self._give_up(job)
            raise
        if handle is None:
            return call()
        _mirror_meta(job, handle)
        try:
            result = reporter.run(shown_to(job.func, handle), call)
        except BaseException as error:
            if isinstance(error, JobCancelled) and handle.cancelled:
                self._give_up(job)
            if _may_retry(job):
                reporter.retry(handle, error)
            else:
                reporter.fail(handle, error)
            raise
        if not isinstance(result, rq.Retry) or not hasattr(job, "number_of_retries"):  # RQ 2.0 takes it for a result
            reporter.complete(handle, result)
        elif job.number_of_retries and job.number_of_retries >= result.max:
            reporter.fail(handle, TriesExceeded(f"The task gave up after {result.max} more tries."))
        else:
            reporter.retry(handle, TriesExceeded("The task asked to be tried again."))
        return result

    def _give_up(self, job: Any) -> None:
        """Nobody wants the task: for RQ it is stopped, and not tried again."""
        self._stopped_job_id = job.id
        job.retries_left = 0


class Worker(ReportingWorker, rq.Worker):
    """RQ's worker, whose tasks are jobs."""


def _order(job: Any) -> TaskOrder | None:
    try:
        function = job.func
    except Exception:  # RQ will say so when it runs it
        function = None
    return order(job.id, job.func_name, job.meta, function)


def _may_retry(job: Any) -> bool:
    return bool(job.retries_left and job.retries_left > 0)


def _mirror_meta(job: Any, handle: JobHandle) -> None:
    save_meta = job.save_meta

    @functools.wraps(save_meta)
    def saved_and_mirrored() -> None:
        save_meta()
        if "progress" in job.meta:
            with running_as(handle):
                mirror(job.meta["progress"])

    job.save_meta = saved_and_mirrored


def _reporter_for(connection: Any) -> Reporter:
    told = os.environ.get("SSE_REDIS_URL")
    url = told or queue_redis.url_of(connection.connection_pool)
    if url not in _reporters:
        options = report_options(os.environ)
        try:
            _reporters[url] = Reporter(url, **options)
        except ValueError as error:
            if told:
                raise BadSetting("SSE_REDIS_URL", error) from None
            raise
    return _reporters[url]

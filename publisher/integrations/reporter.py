"""Reports a queue's tasks as jobs. Whatever becomes of the events, the task goes on: trouble is a log line here."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, Unpack

from publisher.blocking.job_handle import JobHandle
from publisher.blocking.publisher import Publisher
from publisher.core.reason import reason
from publisher.current import running_as
from publisher.exceptions import JobCancelled, JobError, JobFinished
from publisher.integrations import policy
from publisher.integrations.policy import Policy, ReportOptions, Rest
from publisher.integrations.rules import TaskOrder

T = TypeVar("T")


class Reporter:
    """One publisher and the steps of a task's life. Raises ``ValueError`` for options that make no sense."""

    def __init__(self, url: str, **options: Unpack[ReportOptions]) -> None:
        self._policy = Policy.of(options)
        self._url = url
        self._publisher = self._connect()
        self._rest = Rest()

    def _connect(self) -> Publisher:
        return Publisher.from_url(self._url, prefix=self._policy.prefix)

    def queued(self, order: TaskOrder) -> None:
        """A task is on its way to a worker."""
        if self._rest.on:
            return
        try:
            self._publisher.create_job(order.job_id, kind=order.kind, owner=order.owner, meta=order.meta)
        except Exception as error:
            self._rest.refused(order, error)

    def begin(self, order: TaskOrder, *, last_try: bool = False) -> JobHandle | None:
        """A worker has the task, in this process. None where nothing is to be reported of it; raises
        :class:`JobCancelled` where nobody wants it any more."""
        try:
            job = self._publisher.job(order.job_id, **self._policy.opening(order, last_try=last_try))
        except JobCancelled:
            raise
        except Exception as error:
            policy.unreported(order, error)
            return None
        job.stops_work = True
        return job

    def complete(self, job: JobHandle, result: object) -> None:
        """The task has returned."""
        with self._leaving(job):
            try:
                job.complete(result)
            except ValueError as error:
                policy.left_out(job.job_id, error)
                job.complete()

    def fail(self, job: JobHandle, error: BaseException) -> None:
        """The task has raised, and its queue does not try it again."""
        with self._leaving(job):
            if not (isinstance(error, JobCancelled) and job.cancelled):
                job.fail(**self._policy.failure(error))

    def retry(self, job: JobHandle, error: BaseException) -> None:
        """The task has raised, and its queue will try it again."""
        with self._leaving(job):
            job.retrying(reason(error))

    def run(self, job: Any, task: Callable[[], T]) -> T:
        """Call the task with its handle as ``current_job()``."""
        with running_as(job):
            return task()

    def lost(self, order: TaskOrder, error: BaseException | None = None) -> None:
        """The process that ran the task was ended from outside: with the queue's own reason, else without a word."""
        words = policy.lost(error)
        self._from_outside(order, lambda: self._publisher.update_job(order.job_id, status="failed", error=words))

    def requeued(self, order: TaskOrder) -> None:
        """The process that ran the task died, and its queue will run it again."""

        def leave() -> None:
            with self._publisher.job(order.job_id) as job:
                job.retrying(policy.lost(None)["message"])

        self._from_outside(order, leave)

    def cancel(self, order: TaskOrder) -> None:
        """The queue has dropped the task."""
        self._from_outside(order, lambda: self._publisher.cancel_job(order.job_id))

    def close(self) -> None:
        """Wait for what waits for Redis; jobs that are still open run out. What follows connects anew."""
        old, self._publisher = self._publisher, self._connect()
        old.close()

    def _from_outside(self, order: TaskOrder, call: Callable[[], object]) -> None:
        try:
            job = self._publisher.get_job(order.job_id)
            if job is None:
                return  # it was never reported
            if order.is_for(job):
                call()
            else:
                policy.foreign(order)
        except JobError:
            pass  # it has its end
        except Exception as error:
            policy.end_lost(order.job_id, error)

    @contextlib.contextmanager
    def _leaving(self, job: JobHandle) -> Iterator[None]:
        try:
            with contextlib.suppress(JobFinished):  # the task has ended it by itself
                yield
            job.__exit__(None, None, None)
        except Exception as error:
            policy.end_lost(job.job_id, error)

"""The same for coroutine tasks: :class:`AsyncReporter` awaits what :class:`Reporter` waits for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Unpack

from publisher.asyncio.job_handle import AsyncJobHandle
from publisher.asyncio.publisher import AsyncPublisher
from publisher.core.reason import reason
from publisher.exceptions import JobCancelled, JobFinished
from publisher.integrations import policy
from publisher.integrations.policy import Policy, ReportOptions, Rest
from publisher.integrations.rules import TaskOrder


class AsyncReporter:
    """One publisher and the steps of a task's life. Raises ``ValueError`` for options that make no sense."""

    def __init__(self, url: str, **options: Unpack[ReportOptions]) -> None:
        self._policy = Policy.of(options)
        self._url = url
        self._publisher = self._connect()
        self._rest = Rest()

    def _connect(self) -> AsyncPublisher:
        return AsyncPublisher.from_url(self._url, prefix=self._policy.prefix)

    async def queued(self, order: TaskOrder) -> None:
        """A task is on its way to a worker."""
        if self._rest.on:
            return
        try:
            await self._publisher.create_job(order.job_id, kind=order.kind, owner=order.owner, meta=order.meta)
        except Exception as error:
            self._rest.refused(order, error)

    async def begin(self, order: TaskOrder, *, last_try: bool = False) -> AsyncJobHandle | None:
        """A worker has the task. None where nothing is to be reported of it; raises :class:`JobCancelled` where nobody
        wants it any more."""
        try:
            job = await self._publisher.job(order.job_id, **self._policy.opening(order, last_try=last_try))
        except JobCancelled:
            raise
        except Exception as error:
            policy.unreported(order, error)
            return None
        job.stops_work = True
        return job

    async def complete(self, job: AsyncJobHandle, result: object) -> None:
        """The task has returned."""
        async with self._leaving(job):
            try:
                await job.complete(result)
            except ValueError as error:
                policy.left_out(job.job_id, error)
                await job.complete()

    async def fail(self, job: AsyncJobHandle, error: BaseException) -> None:
        """The task has raised, and its queue does not try it again. A cancelled one is cancelled."""
        async with self._leaving(job):
            if isinstance(error, asyncio.CancelledError):
                await job.__aexit__(type(error), error, None)
            elif not (isinstance(error, JobCancelled) and job.cancelled):
                await job.fail(**self._policy.failure(error))

    async def retry(self, job: AsyncJobHandle, error: BaseException) -> None:
        """The task has raised, and its queue will try it again."""
        async with self._leaving(job):
            await job.retrying(reason(error))

    async def close(self) -> None:
        """Wait for what waits for Redis; jobs that are still open run out. What follows connects anew."""
        old, self._publisher = self._publisher, self._connect()
        await old.close()

    @contextlib.asynccontextmanager
    async def _leaving(self, job: AsyncJobHandle) -> AsyncIterator[None]:
        try:
            with contextlib.suppress(JobFinished):  # the task has ended it by itself
                yield
            await job.__aexit__(None, None, None)
        except Exception as error:
            policy.end_lost(job.job_id, error)

"""The demo's provider, which calls nobody back: it can only be asked, as many of those are that make pictures."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

from gateway.demo.scenarios import SCENARIOS, SPEEDS, step_s
from gateway.settings.settings import Settings
from publisher import AsyncPublisher, Job, PublisherError
from publisher.polling import Poll, Poller

KIND: Final = "generation"
NAME: Final = "demo"
START_S: Final = 10.0


def answer(job: Job, now: float) -> Poll:
    """How far the provider is with a job at ``now`` (seconds since the Unix epoch): it draws as the clock goes."""
    meta = job.meta or {}
    steps = list(SCENARIOS[KIND].steps())
    begun = now if job.started_at is None else job.started_at / 1000
    number = int((now - begun) / step_s(meta))
    if meta.get("fail") and 2 * number > len(steps):
        return Poll("failed", error="This job was asked to fail halfway, and it did.")
    if number >= len(steps):
        return Poll("completed", result=SCENARIOS[KIND].result(job.job_id, meta))
    # 100 belongs to the end: pages take it for done.
    return Poll("active", progress=min(99, round(100 * number / len(steps))), message=steps[max(0, number - 1)].message)


def poller(publisher: AsyncPublisher) -> Poller:
    """What registers the provider's jobs in the nodes, and asks for them in the worker."""

    async def fetch(job: Job) -> Poll:
        found = answer(job, time.time())
        if found.status != "active":
            await tell(publisher, "job-ended", job.job_id, job.meta)
        return found

    return Poller(publisher, fetch, interval_s=min(SPEEDS.values()), name=NAME)


async def begin(publisher: AsyncPublisher, job_id: str, owner: str | None, meta: dict[str, Any]) -> None:
    """Have a job asked for. Raises as :meth:`Poller.watch` does."""
    await poller(publisher).watch(job_id, kind=KIND, owner=owner, meta=meta)
    await tell(publisher, "job-started", job_id, meta)


async def tell(publisher: AsyncPublisher, type_: str, job_id: str, meta: Mapping[str, Any] | None) -> None:
    """Tell the client that wanted to hear of it. Raises nothing: the job is what counts."""
    client = (meta or {}).get("notify")
    if isinstance(client, str):
        with contextlib.suppress(PublisherError):
            await publisher.send(client, type_, {"jobId": job_id, "kind": KIND})


class ProviderPolling:
    """Asks the provider in a thread of its own while entered."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),), daemon=True)
        self._ready = threading.Event()

    async def _run(self) -> None:
        async with AsyncPublisher.from_url(self._settings.redis_url, prefix=self._settings.redis_prefix) as publisher:
            self._task = asyncio.create_task(poller(publisher).run())
            self._ready.set()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(START_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(START_S)
        self._loop.close()

"""RQ on the test bench. Its tasks are plain functions, so that it needs no module of its own."""

from __future__ import annotations

import time
from typing import Any

import redis
import rq
from rq.job import Job

from publisher.integrations.rq import enqueue
from tests.integrations import work
from tests.integrations.bench import Bench, Places, surrounded

ABANDONED_S = 1000.0


class RqBench(Bench):
    name = "rq"

    def __init__(self, places: Places) -> None:
        super().__init__(places)
        self.client: Any = redis.Redis.from_url(places.queue_url)
        self.rq = rq.Queue(connection=self.client)

    def arguments(self) -> list[str]:
        return f"rq.cli worker -w publisher.integrations.rq.Worker --url {self.places.queue_url} default".split()

    def environment(self, on_worker_lost: str) -> dict[str, str]:
        """RQ's settings are environment variables anyway."""
        events = {"SSE_REDIS_URL": self.places.way.redis_url, "SSE_PREFIX": self.places.prefix}
        return {**events, "SSE_LEASE_S": "1", "SSE_ON_WORKER_LOST": on_worker_lost}

    def queue(
        self, task: str, *arguments: Any, owner: str, kind: str | None = None, meta: dict[str, Any] | None = None
    ) -> str:
        more: dict[str, Any] = {"retry": rq.Retry(max=2)} if task in ("flaky", "wait") else {}
        with surrounded({"SSE_REDIS_URL": self.places.events_url, "SSE_PREFIX": self.places.prefix}):
            return enqueue(self.rq, getattr(work, task), *arguments, owner=owner, kind=kind, job_meta=meta, **more).id

    def result(self, task_id: str) -> object:
        return Job.fetch(task_id, connection=self.client).return_value()

    def start(self, on_worker_lost: str = "fail", *, measured: bool = True) -> None:
        """RQ looks after 90 s without a sign of life for what a killed worker had; here it does so at once."""
        self.kill()
        self.rq.started_job_registry.cleanup(timestamp=time.time() + ABANDONED_S)
        super().start(on_worker_lost, measured=measured)

    def close(self) -> None:
        super().close()
        self.client.close()

"""Celery on the test bench, with Redis as its broker and its result store."""

from __future__ import annotations

from typing import Any

from celery.result import AsyncResult

from publisher import job_headers
from tests.integrations.bench import Bench, Places


class CeleryBench(Bench):
    name = "celery"

    def __init__(self, places: Places) -> None:
        super().__init__(places)
        self.tasks = self.load("celery_tasks")

    def arguments(self) -> list[str]:
        options = "-c 1 --without-gossip --without-mingle --without-heartbeat"
        return ["celery", "-A", "tests.integrations.celery_tasks", "worker", *options.split()]

    def queue(
        self, task: str, *arguments: Any, owner: str, kind: str | None = None, meta: dict[str, Any] | None = None
    ) -> str:
        headers = job_headers(owner=owner, kind=kind, meta=meta)
        queued: AsyncResult = self.tasks.app.tasks[task].apply_async(arguments, headers=headers)
        return str(queued.id)

    def result(self, task_id: str) -> object:
        found = AsyncResult(task_id, app=self.tasks.app)
        return found.result if found.successful() else None

    def close(self) -> None:
        super().close()
        close(self.tasks.app)


def close(app: Any) -> None:
    """End the connections of an application in the process that queues; its own ``close()`` leaves that for results."""
    app.backend.result_consumer.stop()
    app.backend.client.connection_pool.disconnect()
    app.close()

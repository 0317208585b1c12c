"""arq on the test bench. It holds redis-py back, so that it has an environment of its own: ``make test-arq``."""

from __future__ import annotations

import asyncio
from typing import Any

from arq import ArqRedis, create_pool
from arq.constants import in_progress_key_prefix
from arq.jobs import Job

from publisher.integrations.arq import enqueue_job
from tests.integrations.bench import Bench, Places


class ArqBench(Bench):
    name = "arq"

    def __init__(self, places: Places) -> None:
        super().__init__(places)
        self.tasks = self.load("arq_tasks")
        self.runner = asyncio.Runner()
        self.pool: ArqRedis = self.runner.run(create_pool(self.tasks.WorkerSettings.redis_settings))

    def arguments(self) -> list[str]:
        return ["arq", "tests.integrations.arq_tasks.WorkerSettings"]

    def queue(
        self,
        task: str,
        *arguments: Any,
        owner: str | None = None,
        kind: str | None = None,
        meta: dict[str, Any] | None = None,
        **more: Any,
    ) -> str:
        queued = self.runner.run(enqueue_job(self.pool, task, *arguments, owner=owner, kind=kind, meta=meta, **more))
        return str(queued.job_id)

    def result(self, task_id: str) -> object:
        found = self.runner.run(Job(task_id, self.pool).result_info())
        return found.result if found is not None and found.success else None

    def kill(self) -> None:
        """The mark that a killed worker has the task runs out after the task's time limit: minutes. So it goes here."""
        super().kill()
        self.runner.run(self._forget())

    async def _forget(self) -> None:
        async for key in self.pool.scan_iter(f"{in_progress_key_prefix}*"):
            await self.pool.delete(key)

    def close(self) -> None:
        super().close()
        self.runner.run(self.pool.aclose())
        self.runner.close()

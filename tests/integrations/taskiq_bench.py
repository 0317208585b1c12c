"""taskiq on the test bench, with a stream of Redis as its broker."""

from __future__ import annotations

import asyncio
from typing import Any

from publisher import job_headers
from tests.integrations.bench import Bench, Places


class TaskiqBench(Bench):
    name = "taskiq"

    def __init__(self, places: Places) -> None:
        super().__init__(places)
        self.tasks = self.load("taskiq_tasks")
        self.runner = asyncio.Runner()
        self.runner.run(self.tasks.broker.startup())

    def arguments(self) -> list[str]:
        options = "--workers 1 --max-async-tasks 1 --max-prefetch 0 --shutdown-timeout 5"
        return ["taskiq", "worker", "tests.integrations.taskiq_tasks:broker", *options.split()]

    def start(self, on_worker_lost: str = "fail", *, measured: bool = True) -> None:
        """A worker looks for what another one has left behind whenever it gets something new."""
        super().start(on_worker_lost, measured=measured)
        self.send("paint", 1)

    def send(self, task: str, *arguments: Any, task_id: str | None = None, **labels: Any) -> str:
        kicker = self.tasks.broker.find_task(task).kicker().with_labels(**labels).with_task_id(task_id)
        return str(self.runner.run(kicker.kiq(*arguments)).task_id)

    def queue(
        self, task: str, *arguments: Any, owner: str, kind: str | None = None, meta: dict[str, Any] | None = None
    ) -> str:
        return self.send(task, *arguments, **job_headers(owner=owner, kind=kind, meta=meta))

    def result(self, task_id: str) -> object:
        return self.runner.run(self._result(task_id))

    async def _result(self, task_id: str) -> object:
        backend = self.tasks.broker.result_backend
        if not await backend.is_result_ready(task_id):
            return None
        found = await backend.get_result(task_id)
        return None if found.is_err else found.return_value

    def close(self) -> None:
        super().close()
        self.runner.run(self.tasks.broker.shutdown())
        self.runner.close()

"""Dramatiq on the test bench, with Redis as its broker and its result store."""

from __future__ import annotations

from typing import Any

from dramatiq.results import ResultError

from publisher import job_headers
from tests.integrations.bench import Bench, Places


class DramatiqBench(Bench):
    name = "dramatiq"

    def __init__(self, places: Places) -> None:
        super().__init__(places)
        self.tasks = self.load("dramatiq_tasks")
        self._sent: dict[str, Any] = {}

    def arguments(self) -> list[str]:
        return ["dramatiq", "tests.integrations.dramatiq_tasks", "--processes", "1", "--threads", "1"]

    def environment(self, on_worker_lost: str) -> dict[str, str]:
        return {**super().environment(on_worker_lost), "dramatiq_queue_prefetch": "1"}

    def queue(
        self, task: str, *arguments: Any, owner: str, kind: str | None = None, meta: dict[str, Any] | None = None
    ) -> str:
        headers = job_headers(owner=owner, kind=kind, meta=meta)
        message = getattr(self.tasks, task).send_with_options(args=arguments, **headers)
        self._sent[message.message_id] = message
        return str(message.message_id)

    def result(self, task_id: str) -> object:
        try:
            return self._sent[task_id].get_result(backend=self.tasks.backend)
        except ResultError:
            return None

    def close(self) -> None:
        super().close()
        self.tasks.broker.close()

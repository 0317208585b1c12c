"""A worker that is killed in mid-job: who watches the job is told, though nobody else asks."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Self

import pytest

from publisher import Publisher
from tests.support.eventsource import EventSource
from tests.support.node import Node
from tests.support.sse_parser import SseEvent
from tests.support.tokens import token


def _ann() -> str:
    return token("ann")


WORKER = """
import sys, time
from publisher import Publisher
url, prefix, lost, percent = sys.argv[1:]
pub = Publisher.from_url(url, prefix=prefix)
job = pub.job("j", kind="media", owner="ann", lease_s=0.5, on_worker_lost=lost)
job.progress(int(percent))
sys.stdin.read()
"""
AT = 40
PATHS = ["/v1/jobs/j/events", "/v1/jobs/events", "/v1/events?channel=job:j", "/api/v1/sse/jobs/my", "/jobs/j/stream"]


class Worker:
    """A worker at its job, in a process of its own."""

    def __init__(self, url: str, prefix: str, on_worker_lost: str) -> None:
        code = [sys.executable, "-c", WORKER, url, prefix, on_worker_lost, str(AT)]
        self._process = subprocess.Popen(code, stdin=subprocess.PIPE)

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.kill()


def _at_work(event: SseEvent) -> bool:
    """Whether it says, in whichever dialect, how far the worker has come: every time of day has such digits too."""
    return re.search(rf'"progress": ?{AT}\b', event.data) is not None


@pytest.mark.parametrize("path", PATHS)
async def test_whoever_watches_is_told_that_the_worker_is_lost(
    redis_url: str, prefix: str, start_node: Callable[..., Node], path: str
) -> None:
    """Whether the watcher came before the job began, or into the middle of it."""
    node = start_node()
    with Publisher.from_url(redis_url, prefix=prefix) as pub:
        pub.create_job("j", kind="media", owner="ann")
    async with EventSource(node.base, path, token=_ann()) as early:
        await early.next_event()
        with Worker(redis_url, prefix, "fail") as worker:
            await early.collect_until(_at_work)
            async with EventSource(node.base, path, token=_ann()) as late:
                await late.collect_until(_at_work)
                await asyncio.to_thread(worker.kill)
                for watcher in (early, late):
                    await watcher.collect_until(lambda event: "The worker stopped without a word." in event.data)


async def test_a_job_that_its_queue_will_run_again_is_pending(
    redis_url: str, prefix: str, start_node: Callable[..., Node]
) -> None:
    node = start_node(JOB_WAIT_S=30)  # the watcher may be there long before the worker
    with Worker(redis_url, prefix, "wait") as worker:
        await _pending_again(node, worker, redis_url, prefix)


async def _pending_again(node: Node, worker: Worker, redis_url: str, prefix: str) -> None:
    async with EventSource(node.base, "/v1/jobs/j/events", token=_ann()) as watcher:
        await watcher.collect_until(_at_work)
        await asyncio.to_thread(worker.kill)
        again = json.loads((await watcher.next_of_type("job.retrying")).data)
        assert (again["status"], again["attempt"]) == ("pending", 2)
        with Publisher.from_url(redis_url, prefix=prefix) as pub, pub.job("j"):
            pass
        assert json.loads((await watcher.next_of_type("job.completed")).data)["attempt"] == 2

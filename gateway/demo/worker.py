"""``python -m gateway.demo.worker``: takes the demo's jobs from Redis and does as if it did them.

A worker like any other: it knows the publisher and Redis, and nothing of the node. Ends at SIGTERM, or when its stdin
does, which it does with ``dev``.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from redis.exceptions import RedisError

from gateway import logs
from gateway.demo import queue
from gateway.demo.scenarios import SCENARIOS, STEP_S, Scenario, Step
from gateway.settings import Settings
from publisher import Job, JobCancelled, JobHandle, Publisher, PublisherError, connect

log = logging.getLogger("gateway.demo")

AT_ONCE: Final = 4
BEGIN_S: Final = 1.0
"""Real queues have a wait too: long enough to see a job pending."""
RETRY_S: Final = 1.0
REDIS_TIMEOUT_S: Final = queue.POLL_S + 2


class Stopped(Exception):
    """The worker was stopped before the job was done."""


class DemoFailure(Exception):
    """The demo failed because it was asked to."""


class Worker:
    """Runs up to four jobs at once until :meth:`stop`."""

    def __init__(self, settings: Settings) -> None:
        self._prefix = settings.redis_prefix
        self._client = connect.blocking(settings.redis_url, timeout_s=REDIS_TIMEOUT_S)
        self._publisher = Publisher.from_url(settings.redis_url, prefix=self._prefix, flush_timeout_s=2)
        self._stopping = threading.Event()
        self._free = threading.Semaphore(AT_ONCE)

    def stop(self) -> None:
        self._stopping.set()

    def run(self) -> None:
        """Until stopped. A Redis that is away is waited for."""
        with self._publisher, ThreadPoolExecutor(AT_ONCE) as pool:
            while not self._stopping.is_set():
                if not self._free.acquire(timeout=queue.POLL_S):
                    continue
                job_id = self._next()
                if job_id is None:
                    self._free.release()
                else:
                    pool.submit(self._run, job_id)

    def _next(self) -> str | None:
        try:
            return queue.take(self._client, self._prefix)
        except (RedisError, OSError):
            self._stopping.wait(RETRY_S)
            return None

    def _run(self, job_id: str) -> None:
        try:
            self._stopping.wait(BEGIN_S)
            registered = self._publisher.get_job(job_id)
            if registered is not None and registered.kind in SCENARIOS:
                self._notify(registered, "job-started")
                try:
                    self._work(registered)
                finally:
                    self._notify(registered, "job-ended")
        except (JobCancelled, Stopped, DemoFailure) as error:
            log.info("demo.job_ended job=%s reason=%s", job_id, error)
        except PublisherError as error:
            log.warning("demo.job_lost job=%s reason=%s", job_id, error)
        except Exception:
            log.exception("demo.job_broke job=%s", job_id)
        finally:
            self._free.release()

    def _notify(self, job: Job, type_: str) -> None:
        """Tell the client that wanted to hear of it. Raises nothing: the job is what counts."""
        client = (job.meta or {}).get("notify")
        if isinstance(client, str):
            with contextlib.suppress(PublisherError):
                self._publisher.send(client, type_, {"jobId": job.job_id, "kind": job.kind})

    def _work(self, registered: Job) -> None:
        meta = registered.meta or {}
        scenario = SCENARIOS[registered.kind]
        with self._publisher.job(registered.job_id, kind=registered.kind, owner=registered.owner) as job:
            for step in scenario.steps():
                if self._stopping.wait(STEP_S):
                    raise Stopped("The demo was stopped.")
                job.raise_if_cancelled()
                _report(job, step, scenario)
                if meta.get("fail") and 2 * step.number > step.total:
                    raise DemoFailure("This job was asked to fail halfway, and it did.")
            job.complete(scenario.result(registered.job_id, meta))


def _report(job: JobHandle, step: Step, scenario: Scenario) -> None:
    if step.filename:
        status = "completed" if step.file_progress == 100 else "processing"
        job.item(
            step.filename,
            filename=step.filename,
            status=status,
            progress=step.file_progress,
            message=step.message,
        )
    # 100 belongs to the end: pages take it for done.
    percent = min(99, round(100 * step.number / step.total))
    message = f"{step.message} {step.filename}".strip()
    if scenario.files:
        of_files = -(-step.number * len(scenario.files) // step.total)
        job.progress(percent, stage=step.stage, message=message, current=of_files, total=len(scenario.files))
    else:
        job.progress(percent, stage=step.stage, message=message, current=step.number, total=step.total)


def _end_with_parent(worker: Worker) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    worker.stop()


def main() -> None:
    """Run with the settings of the environment until SIGTERM, SIGINT, or the end of stdin."""
    settings = Settings.from_env(os.environ)
    logs.configure(settings.log_format, settings.log_level)
    worker = Worker(settings)

    def stop(*_: Any) -> None:
        worker.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    threading.Thread(target=_end_with_parent, args=(worker,), daemon=True).start()
    worker.run()


if __name__ == "__main__":
    main()

"""What the tasks of all queues do in the tests; they know the publisher's own words alone."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from publisher import current_job


def options() -> dict[str, Any]:
    """What the reports of the tests share; leases run out soon."""
    return {"lease_s": 1, "on_worker_lost": os.environ.get("ON_WORKER_LOST", "fail")}


def paint(steps: int) -> dict[str, Any]:
    job = current_job()
    for step in range(1, steps + 1):
        job.progress(100 * step / steps, message=f"stroke {step}")
    return {"strokes": steps}


def broken() -> None:
    raise LookupError("There is no paint.")


def flaky(failures: int) -> str:
    """Fails in its first tries."""
    attempt = current_job().attempt
    if attempt <= failures:
        raise ConnectionError(f"try {attempt}")
    return f"try {attempt}"


def wait() -> None:
    """Work until somebody cancels it; a run that is not reported has nothing to wait for."""
    job = current_job()
    pause = threading.Event()
    while job.job_id and not pause.wait(0.05):
        job.progress(1)


def gate(path: str) -> str:
    """Say that it has begun, wait until somebody makes the file, report progress, and say that it leaves."""
    pause = threading.Event()
    touch(path + ".begun")
    while not there(path):
        pause.wait(0.02)
    current_job().progress(90)
    touch(path + ".left")
    return "through"


def touch(path: str) -> None:
    Path(path).touch()


def there(path: str) -> bool:
    return Path(path).exists()


def hang() -> None:
    threading.Event().wait(60)


def idle() -> None:
    """Do nothing for long, in the little steps of Python that can be interrupted."""
    pause = threading.Event()
    for _ in range(6000):
        pause.wait(0.01)

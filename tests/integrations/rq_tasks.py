"""The tasks that RQ alone needs in the tests."""

from __future__ import annotations

import os
import signal
from typing import Any

import rq

from publisher import current_job, reported
from publisher.integrations.rq import ReportingWorker
from tests.integrations import async_work


class SpawningWorker(ReportingWorker, rq.SpawnWorker):
    """Starts a new interpreter for each job."""


@reported(kind="picture")
def marked() -> None:
    current_job().progress(50)


def mirrored(said: object) -> str:
    """What RQ's users write, since long before they had an events' Redis."""
    job: Any = rq.get_current_job()
    job.meta["progress"] = said
    job.save_meta()
    return "mirrored"


async def gentle() -> str:
    mirrored(7)
    return await async_work.gentle()


def asks_again(times: int) -> object:
    return rq.Retry(max=1) if current_job().attempt <= times else "done"


def die(times: int) -> str:
    """Killed from outside in its first tries, as when memory is short."""
    if current_job().attempt <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


def odd() -> object:
    return {1, 2}

"""The tasks of ``work.py`` for queues of coroutines."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from publisher import current_job
from tests.integrations import work


async def paint(steps: int) -> dict[str, Any]:
    job = current_job()
    for step in range(1, steps + 1):
        await job.progress(100 * step / steps, message=f"stroke {step}")
    return {"strokes": steps}


async def wait() -> None:
    """Work until somebody cancels it; a run that is not reported has nothing to wait for."""
    job = current_job()
    while job.job_id:
        await asyncio.sleep(0.05)
        await job.progress(1)


async def gentle() -> str:
    """Every kind of call that is not simply awaited."""
    job = current_job()
    async with job.stage("brush"):
        async with job.stage("fine"):
            strokes = [stroke async for stroke in job.track(iter([1, 2, 3]), total=3)]
        with contextlib.suppress(LookupError):
            async with job.stage("coarse"):
                raise LookupError
        strokes += [stroke async for stroke in job.track(job.track([4]))]
    await job.raise_if_cancelled()
    return f"{job.attempt}: {strokes}"


async def gate(path: str) -> str:
    """Say that it has begun, wait until somebody makes the file, report progress, and say that it leaves."""
    work.touch(path + ".begun")
    while not work.there(path):
        await asyncio.sleep(0.02)
    await current_job().progress(90)
    work.touch(path + ".left")
    return "through"

"""A program with a poller, as ``sse-gateway poll`` is given it. What is asked for is written to a file, a line each."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from publisher import AsyncPublisher, Job
from publisher.polling import Poll, Poller

asked = Path(os.environ["ASKED"])


def note(job_id: str) -> Poll:
    with asked.open("a") as log:
        log.write(f"{os.getpid()} {job_id}\n")
    return Poll("completed" if Path(f"{asked}.done").exists() else "active")


async def fetch(job: Job) -> Poll:
    found = note(job.job_id)
    if job.job_id == "hangs":
        await asyncio.Event().wait()
    return found


publisher = AsyncPublisher.from_url(os.environ["EVENTS_URL"], prefix=os.environ["PREFIX"])
poller = Poller(publisher, fetch, interval_s=0.1)
number = 7

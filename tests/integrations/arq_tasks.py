"""The tasks that arq's worker runs in the tests. Addresses come from the environment."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from arq import Retry, func
from arq.connections import RedisSettings

from publisher import current_job, reported
from publisher.integrations.arq import report
from tests.integrations import async_work, work

Ctx = dict[str, Any]


async def paint(ctx: Ctx, steps: int) -> dict[str, Any]:
    return await async_work.paint(steps)


async def broken(ctx: Ctx) -> None:
    work.broken()


async def flaky(ctx: Ctx, failures: int) -> str:
    try:
        return work.flaky(failures)
    except ConnectionError as error:
        raise Retry from error


async def wait(ctx: Ctx) -> None:
    try:
        await async_work.wait()
    except Exception as error:
        raise Retry from error


async def gate(ctx: Ctx, path: str) -> str:
    return await async_work.gate(path)


@reported(kind="picture")
async def marked(ctx: Ctx) -> object:
    await current_job().progress(50)
    return object()


async def again(ctx: Ctx) -> None:
    raise Retry


async def hang(ctx: Ctx) -> None:
    await asyncio.sleep(60)


class WorkerSettings:
    functions = (
        *(paint, broken, gate, marked, again),
        *(func(flaky, max_tries=3), func(wait, max_tries=9), func(hang, max_tries=2)),
        func(hang, name="slow", timeout=0.3),
    )
    redis_settings = RedisSettings.from_dsn(os.environ["QUEUE_URL"])
    max_jobs = 1
    poll_delay = 0.05
    max_tries = 3
    allow_abort_jobs = True


report(WorkerSettings, os.environ["EVENTS_URL"], prefix=os.environ["PREFIX"], **work.options())

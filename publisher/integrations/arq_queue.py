"""Queueing a task of arq for somebody."""

from __future__ import annotations

import copy
import os
import pickle
from typing import Any, Final
from uuid import uuid4

from publisher.current import job_headers
from publisher.integrations import policy, queue_redis
from publisher.integrations.async_reporter import AsyncReporter
from publisher.integrations.rules import order

FIELD: Final = "sse"
"""Where the headers are in what arq keeps of a task; it reads its own five fields alone."""
REPORTERS: Final[dict[str | None, AsyncReporter]] = {}
"""Those of this process, by URL; under None that of ``report()``."""
FUNCTIONS: Final[dict[str, object]] = {}
"""The functions of the workers that this process reports, by name: they may be ``@reported``."""


async def enqueue_job(
    pool: Any,
    function: str,
    *args: Any,
    owner: str | None = None,
    kind: str | None = None,
    meta: dict[str, Any] | None = None,
    **more: Any,
) -> Any:
    """``pool.enqueue_job(function, *args, **more)`` for somebody: the task is a job from now on, and its id the job's.
    ``kind`` is the task's name where it is left out. Returns arq's job, or None where there is one of this
    ``_job_id`` already. Raises ``ValueError`` for ids that a channel does not allow and for a meta that is not JSON.

    The events' Redis is that of ``SSE_REDIS_URL``, else that of ``report()`` in this process, else the queue's own.
    """
    headers = job_headers(owner=owner, kind=kind, meta=meta)
    job_id = more.pop("_job_id", None) or uuid4().hex
    dump = pool.job_serializer or pickle.dumps
    carrier = copy.copy(pool)  # the same connections; another task may use the pool meanwhile
    carrier.job_serializer = lambda task: dump({**task, FIELD: headers})
    job = await carrier.enqueue_job(function, *args, _job_id=job_id, **more)
    found = order(job_id, function, headers, FUNCTIONS.get(function))
    if job is not None and found is not None:
        try:
            reporter = _reporter(pool)
        except ValueError as error:
            policy.unregistered(found, error)
        else:
            await reporter.queued(found)
    return job


def _reporter(pool: Any) -> AsyncReporter:
    told = os.environ.get("SSE_REDIS_URL")
    if not told and None in REPORTERS:
        return REPORTERS[None]
    url = told or queue_redis.url_of(pool.connection_pool)
    if url not in REPORTERS:
        REPORTERS[url] = AsyncReporter(url, prefix=os.environ.get("SSE_PREFIX", "sse"))
    return REPORTERS[url]

"""A job as JSON text, as the native API shows it."""

from __future__ import annotations

import orjson

from publisher.job import Job


def job_json(job: Job) -> bytes:
    """Every field of the job, absent ones as null."""
    return orjson.dumps(job.as_dict())

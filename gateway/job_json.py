"""A job as JSON text, as the native API shows it."""

from __future__ import annotations

import orjson

from publisher.job import Job


def job_json(job: Job) -> bytes:
    """Every field of the job, absent ones as null."""
    data = job.as_dict()
    try:
        return orjson.dumps(data)
    except orjson.JSONEncodeError:
        # The encoder stops at 254 levels, and each of these may have them all: inside the job they are too deep.
        error = job.error and {**job.error, "details": None}
        return orjson.dumps({**data, "result": None, "error": error, "meta": None})

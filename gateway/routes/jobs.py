"""The native calls about jobs: read them, cancel them, and report on them from workers in other languages."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway import access, answers
from gateway.body import read_json
from gateway.endpoint import endpoint
from gateway.exceptions import BadRequest, Conflict, NotFound, Unauthorized
from gateway.fields import ANY, NUMBER, OBJECT, TEXT, fields
from gateway.guard import require_scope
from gateway.job_json import job_json
from gateway.node import Node
from gateway.principal import PUBLISH
from publisher import channels as names
from publisher.exceptions import JobFinished
from publisher.job import Job

MAX_LISTED: Final = 200
DEFAULT_LISTED: Final = 50
LIST_BYTES: Final = 4 * 1024 * 1024
"""A list ends early once it is this long: a job with its result and items may have hundreds of kilobytes."""
LIST_STEP: Final = 20

NEW_JOB: Final = {"job_id": TEXT, "kind": TEXT, "owner": TEXT, "meta": OBJECT}
CHANGES: Final = {
    "status": TEXT,
    "progress": NUMBER,
    "stage": TEXT,
    "message": TEXT,
    "current": NUMBER,
    "total": NUMBER,
    "item": OBJECT,
    "result": ANY,
    "error": OBJECT,
}
ITEM: Final = {"item_id": TEXT, "filename": TEXT, "status": TEXT, "progress": NUMBER, "message": TEXT}
ERROR: Final = {"message": TEXT, "code": TEXT, "details": ANY}
SETTABLE: Final = ("active", "completed", "failed", "cancelled")


# What is asked for, read without I/O ---


def new_job(body: object) -> dict[str, Any]:
    """The arguments of ``create_job``. Raises :class:`BadRequest` or ``ValueError``."""
    given = fields("The body", body, NEW_JOB, ("job_id", "kind"))
    names.check_id(given["job_id"], "job_id")
    names.check_id(given["kind"], "kind")
    if "owner" in given:
        names.check_id(given["owner"], "owner")
    return given


def changes(body: object) -> dict[str, Any]:
    """The arguments of ``update_job``. Raises :class:`BadRequest` or ``ValueError``."""
    given = fields("The body", body, CHANGES)
    if not given:
        raise BadRequest(f"There is nothing to change: give at least one of {', '.join(CHANGES)}.")
    if "status" in given and given["status"] not in SETTABLE:
        raise BadRequest(f"status must be one of {', '.join(SETTABLE)}.")
    if "item" in given:
        given["item"] = fields("The item", given["item"], ITEM, ("item_id",))
        names.check_id(given["item"]["item_id"], "item_id")
    if "error" in given:
        given["error"] = fields("The error", given["error"], ERROR, ("message",))
    return given


def list_limit(text: str | None) -> int:
    """How many jobs a list should have. Raises :class:`BadRequest`."""
    if text is None:
        return DEFAULT_LISTED
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= MAX_LISTED):
        raise BadRequest(f"limit must be a whole number from 1 to {MAX_LISTED}.")
    return int(text)


# Answers ---


async def get_job(node: Node, request: Request) -> Response:
    caller = await node.stream_caller(request)
    job = await node.readable_job(caller, request.path_params["job_id"])
    return answers.json_bytes(job_json(job))


async def list_jobs(node: Node, request: Request) -> Response:
    caller = await node.caller(request)
    subject = caller.subject
    if subject is None:
        raise Unauthorized("The list is of the caller's own jobs: send a token that has a sub.")
    channel = names.user_channel(subject)
    node.check_channels(caller, (channel,))
    limit = list_limit(request.query_params.get("limit"))
    job_ids = (await node.history.read(channel, None, "jobs")).jobs[::-1]
    jobs, more = await _newest(node, job_ids, subject, limit)
    body = b'{"jobs":[%b],"more":%b}' % (b",".join(jobs), b"true" if more else b"false")
    return answers.json_bytes(body)


async def _newest(node: Node, job_ids: tuple[str, ...], owner: str, limit: int) -> tuple[list[bytes], bool]:
    """The first of these jobs that are still there and this owner's, as JSON; and whether some were left out."""
    found: list[bytes] = []
    size = 0
    for start in range(0, len(job_ids), LIST_STEP):
        for job in await node.history.jobs(job_ids[start : start + LIST_STEP]):
            if job.owner != owner:
                continue
            if len(found) == limit or size > LIST_BYTES:
                return found, True
            found.append(job_json(job))
            size += len(found[-1])
    return found, False


async def create_job(node: Node, request: Request) -> Response:
    await require_scope(node, request, PUBLISH)
    job = await node.publisher.create_job(**new_job(await read_json(request)))
    return answers.json_bytes(job_json(job), 201, {"location": f"/v1/jobs/{quote(job.job_id, safe='')}"})


async def update_job(node: Node, request: Request) -> Response:
    await require_scope(node, request, PUBLISH)
    job_id = names.check_id(request.path_params["job_id"], "job id")
    job = await node.publisher.update_job(job_id, **changes(await read_json(request)))
    return answers.json_bytes(job_json(job))


async def cancel_job(node: Node, request: Request) -> Response:
    caller = await node.caller(request)
    if caller.anonymous:
        raise Unauthorized("Only a job's owner or an administrator may cancel it: send a token.")
    job = await node.history.job(request.path_params["job_id"])
    if job is None or not access.may_cancel(caller, job.owner):
        raise NotFound("There is no such job.")
    if job.finished:
        raise _ended(job.status)
    return answers.json_bytes(job_json(await _cancelled(node, job)))


async def _cancelled(node: Node, job: Job) -> Job:
    try:
        return await node.publisher.cancel_job(job.job_id)
    except JobFinished as error:  # it ended between the look and the call
        raise _ended(error.status) from None


def _ended(status: str) -> Conflict:
    return Conflict(f"The job is {status} already; there is nothing left to cancel.")


def routes(node: Node) -> list[BaseRoute]:
    return [
        endpoint(node, "/v1/jobs", GET=list_jobs, POST=create_job),
        endpoint(node, "/v1/jobs/{job_id:id}", GET=get_job, PATCH=update_job),
        endpoint(node, "/v1/jobs/{job_id:id}/cancel", POST=cancel_job),
    ]

"""The native calls about jobs: read them, cancel them, and report on them from workers in other languages."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.auth import access
from gateway.auth.callers import Callers
from gateway.auth.principal import PUBLISH
from gateway.broker.history import History
from gateway.broker.reading import JobFacts
from gateway.exceptions import BadRequest, Conflict, NotFound, StoreDown, Unauthorized
from gateway.http import responses
from gateway.http.body import read_json
from gateway.http.endpoint import Endpoints
from gateway.http.job_json import job_json
from gateway.http.validation import ANY, NUMBER, OBJECT, TEXT, fields, listed
from publisher import AsyncPublisher
from publisher import channels as names
from publisher.exceptions import JobExists, JobFinished, JobNotFound
from publisher.job import Job

MAX_LISTED: Final = 200
DEFAULT_LISTED: Final = 50
LIST_BYTES: Final = 4 * 1024 * 1024
"""A list ends early once it is this long: a job with its result and items may have hundreds of kilobytes."""

NEW_JOB: Final = {"job_id": TEXT, "kind": TEXT, "owner": TEXT, "meta": OBJECT, "chat": TEXT}
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
    "reasoning": TEXT,
    "text": TEXT,
    "part": OBJECT,
}
ITEM: Final = {"item_id": TEXT, "filename": TEXT, "status": TEXT, "progress": NUMBER, "message": TEXT}
ERROR: Final = {"message": TEXT, "code": TEXT, "details": ANY}
SETTABLE: Final = ("active", "completed", "failed", "cancelled")


# What is asked for, read without I/O ---


def new_job(body: object) -> dict[str, Any]:
    """The arguments of ``create_job``. Raises :class:`BadRequest` or ``ValueError``."""
    given = fields("The body", body, NEW_JOB, ("job_id", "kind"))
    names.check_job_id(given["job_id"], "job_id")
    names.check_id(given["kind"], "kind")
    if "owner" in given:
        names.check_id(given["owner"], "owner")
    if given["kind"] == names.ANSWER or "chat" in given:
        if given["kind"] != names.ANSWER or not {"chat", "owner"} <= given.keys():
            raise BadRequest(f"An answer is given in somebody's chat: give kind {names.ANSWER}, chat and owner.")
        names.check_id(given["chat"], "chat")
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
        names.check_item_id(given["item"]["item_id"], "item_id")
    if "error" in given:
        given["error"] = fields("The error", given["error"], ERROR, ("message",))
    return given


# Answers ---


class JobCalls:
    def __init__(self, callers: Callers, history: History, publisher: AsyncPublisher, root_path: str) -> None:
        self._callers = callers
        self._root_path = root_path
        self._history = history
        self._publisher = publisher

    async def get(self, request: Request) -> Response:
        caller = await self._callers.reader(request)
        job_id = names.check_id(request.path_params["job_id"], "job id")

        def may_read(facts: JobFacts) -> bool:
            return self._callers.may_read(caller, names.job_channel(job_id), facts.owner)

        job = await self._history.admitted_job(job_id, may_read)
        if job is None:
            raise NotFound("There is no such job.")
        return responses.json_bytes(job_json(await self._looked_after(job)))

    async def _looked_after(self, job: Job) -> Job:
        """The job as it stands once somebody has looked whether its worker was lost."""
        return await self._publisher.get_job(job.job_id) or job if job.may_be_lost(time.time()) else job

    async def list(self, request: Request) -> Response:
        caller = await self._callers.caller(request)
        subject = caller.subject
        if subject is None:
            raise Unauthorized("The list is of the caller's own jobs: send a token that has a sub.")
        channel = names.user_channel(subject)
        self._callers.check_channels(caller, (channel,))
        limit = listed(request.query_params.get("limit"), DEFAULT_LISTED, MAX_LISTED)
        job_ids = (await self._history.read(channel, None, "jobs")).jobs[::-1]

        def is_theirs(facts: JobFacts) -> bool:
            # A list is read as slowly as the peer likes: what comes later needs the right later.
            return facts.owner == subject and self._callers.still_good(caller)

        body = _job_list(self._history.jobs_in_steps(job_ids, is_theirs), limit)
        first = await anext(body)  # what Redis refuses at once becomes an answer of its own
        return responses.json_stream(first, body)

    async def create(self, request: Request) -> Response:
        await self._callers.holder(request, PUBLISH)
        given = new_job(await read_json(request))
        if await self._history.facts(given["job_id"]) is not None:  # the library attaches to one of the same owner
            raise JobExists(given["job_id"], f"There is a job {given['job_id']} already; use another id.")
        job = await self._create(**given)
        place = f"{self._root_path}/v1/jobs/{quote(job.job_id, safe='')}"
        return responses.json_bytes(job_json(job), 201, {"location": place})

    async def _create(self, *, job_id: str, chat: str | None = None, **given: Any) -> Job:
        if chat is None:
            return await self._publisher.create_job(job_id, **given)
        given.pop("kind")
        await self._publisher.create_answer(chat, job_id=job_id, **given)
        job = await self._publisher.get_job(job_id)
        if job is None:
            raise JobNotFound(job_id)
        return job

    async def update(self, request: Request) -> Response:
        await self._callers.holder(request, PUBLISH)
        job_id = names.check_job_id(request.path_params["job_id"])
        job = await self._publisher.update_job(job_id, **changes(await read_json(request)))
        return responses.json_bytes(job_json(job))

    async def cancel(self, request: Request) -> Response:
        return await self._steer(request, self._publisher.cancel_job)

    async def pause(self, request: Request) -> Response:
        return await self._steer(request, self._publisher.pause_job)

    async def resume(self, request: Request) -> Response:
        return await self._steer(request, self._publisher.resume_job)

    async def _steer(self, request: Request, call: Callable[[str], Awaitable[Job]]) -> Response:
        """What a job's owner, or an administrator, may ask of its worker."""
        caller = await self._callers.caller(request)
        if caller.anonymous:
            raise Unauthorized("Only a job's owner or an administrator may do this: send a token.")
        job_id = names.check_id(request.path_params["job_id"], "job id")
        facts = await self._history.facts(job_id)
        if facts is None or not access.may_cancel(caller, facts.owner):
            raise NotFound("There is no such job.")
        if facts.status in names.FINISHED:
            raise _ended(facts.status)
        try:
            job = await call(job_id)
        except JobFinished as error:
            raise _ended(error.status) from None
        except JobNotFound:  # it went between the look and the call
            raise NotFound("There is no such job.") from None
        return responses.json_bytes(job_json(job))


async def _job_list(steps: AsyncIterator[list[Job]], limit: int) -> AsyncIterator[bytes]:
    """The first of these jobs as a JSON object, piece by piece; ``more`` says whether some were left out."""
    shown, size, more = 0, 0, False
    yield b'{"jobs":['
    try:
        async for step in steps:
            step.reverse()
            while step:
                if shown == limit or size > LIST_BYTES:
                    more = True
                    break
                text = job_json(step.pop())  # while the peer takes it, it is there once
                yield b"," + text if shown else text
                shown += 1
                size += len(text)
            if more:
                break
    except StoreDown:
        if not shown:
            raise
        more = True  # the answer has begun: it says that it is not the whole
    yield b'],"more":%b}' % (b"true" if more else b"false")


def _ended(status: str) -> Conflict:
    return Conflict(f"The job is {status} already; there is nothing left to change.")


def routes(
    endpoint: Endpoints, callers: Callers, history: History, publisher: AsyncPublisher, root_path: str
) -> list[BaseRoute]:
    calls = JobCalls(callers, history, publisher, root_path)
    return [
        endpoint("/v1/jobs", private=True, GET=calls.list, POST=calls.create),
        endpoint("/v1/jobs/{job_id:id}", private=True, GET=calls.get, PATCH=calls.update),
        endpoint("/v1/jobs/{job_id:id}/cancel", POST=calls.cancel),
        endpoint("/v1/jobs/{job_id:id}/pause", POST=calls.pause),
        endpoint("/v1/jobs/{job_id:id}/resume", POST=calls.resume),
    ]

"""Routes that start jobs for the demo's worker, in the words of the front ends that expect them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from gateway import answers
from gateway.body import read_json
from gateway.demo import queue
from gateway.demo.scenarios import SCENARIOS
from gateway.endpoint import endpoint
from gateway.exceptions import BadRequest
from gateway.guard import require_own_page
from gateway.node import Node
from publisher.channels import check_id

PROVIDER_ID: Final = "demo-provider"
MAX_PROMPT: Final = 1000
MAX_FORM: Final = 4096
DEFAULT_KIND: Final = "character"


async def start(node: Node, request: Request, kind: str, meta: Mapping[str, Any]) -> str:
    """Register a job of the caller's (of nobody's without a token) and hand it to the worker; its id."""
    require_own_page(request, node.settings)
    caller = await node.caller(request)
    prefix = node.settings.redis_prefix
    await queue.check_room(node.store, prefix)
    job_id = f"{kind}-{secrets.token_hex(5)}"
    await node.publisher.create_job(job_id, kind=kind, owner=caller.subject, meta=dict(meta))
    await queue.put(node.store, prefix, job_id)
    return job_id


async def generation(node: Node, request: Request) -> Response:
    """``POST /api/generation`` ``{"prompt"}``."""
    prompt = (await _fields(request)).get("prompt")
    if not isinstance(prompt, str) or not 1 <= len(prompt) <= MAX_PROMPT:
        raise BadRequest(f'The prompt must be text of 1 to {MAX_PROMPT} characters: {{"prompt": "a cat"}}.')
    job_id = await start(node, request, "generation", {"prompt": prompt, "provider_id": PROVIDER_ID})
    return answers.json_response({"success": True, "sessionId": job_id, "providerId": PROVIDER_ID})


async def character(node: Node, request: Request) -> Response:
    """``POST /api/v1/characters/queue``; what the body says does not matter here."""
    await _fields(request)
    return answers.json_response({"data": {"jobId": await start(node, request, "character", {})}})


async def job(node: Node, request: Request) -> Response:
    """``POST /dev/jobs`` ``{"kind", "fail"?, "notify"?}``: a job of any kind; ``fail`` makes it fail halfway, and the
    client ``notify`` is told when it begins and ends."""
    kind, meta = _wish(await _fields(request))
    job_id = await start(node, request, kind, meta)
    place = f"/v1/jobs/{job_id}"
    body = {"job_id": job_id, "kind": kind, "events": f"{place}/events"}
    return answers.json_response(body, 201, {"location": place})


async def watch(node: Node, request: Request) -> Response:
    """``POST /dev/watch``: start a job and go to its stream, so that one ``curl -N -L -d kind=character`` shows it."""
    kind, meta = _wish(await _fields(request))
    job_id = await start(node, request, kind, meta)
    return RedirectResponse(f"/v1/jobs/{job_id}/events", 303, {"cache-control": "no-store"})


def _wish(fields: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    kind = fields.get("kind", DEFAULT_KIND)
    if not isinstance(kind, str) or kind not in SCENARIOS:
        raise BadRequest(f"The kind must be one of {', '.join(SCENARIOS)}.")
    meta: dict[str, Any] = {"provider_id": PROVIDER_ID}
    if fields.get("fail") in (True, "1", "true"):
        meta["fail"] = True
    if fields.get("notify"):
        meta["notify"] = check_id(fields["notify"], "client to notify")
    return kind, meta


async def _fields(request: Request) -> Mapping[str, Any]:
    """The body's fields: JSON, or a form as curl and pages send it; none for an empty body."""
    if request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers:
        return {}
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return await _form(request)
    body = await read_json(request)
    if not isinstance(body, dict):
        raise BadRequest("The body must be a JSON object.")
    return body


async def _form(request: Request) -> Mapping[str, str]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM:
            raise BadRequest(f"The form is longer than {MAX_FORM} bytes.")
    try:
        return dict(parse_qsl(body.decode()))
    except UnicodeDecodeError:
        raise BadRequest("The form is not UTF-8 text.") from None


def routes(node: Node) -> list[BaseRoute]:
    return [
        endpoint(node, "/api/generation", POST=generation),
        endpoint(node, "/api/v1/characters/queue", POST=character),
        endpoint(node, "/dev/jobs", POST=job),
        endpoint(node, "/dev/watch", POST=watch),
    ]

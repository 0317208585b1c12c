"""Routes that start jobs for the demo's worker, in the words of the front ends that expect them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from gateway.auth.callers import Callers
from gateway.auth.same_site import require_own_page
from gateway.auth.ticket_key import TicketKey
from gateway.demo import chat, provider
from gateway.demo.scenarios import DEFAULT_SPEED, SCENARIOS, SPEEDS
from gateway.exceptions import BadRequest
from gateway.http import responses
from gateway.http.body import SMALL_BODY_BYTES, read, read_json
from gateway.http.endpoint import Endpoints
from gateway.settings.settings import Settings
from publisher import AsyncPublisher
from publisher.channels import check_id

if TYPE_CHECKING:
    from gateway.demo.tasks import DemoBroker

PROVIDER_ID: Final = "demo-provider"
MAX_PROMPT: Final = 1000
MAX_FORM: Final = 4096
DEFAULT_KIND: Final = "character"


class DemoCalls:
    def __init__(self, callers: Callers, publisher: AsyncPublisher, settings: Settings) -> None:
        self._callers = callers
        self._publisher = publisher
        self._settings = settings

    @cached_property
    def broker(self) -> DemoBroker:
        """Made with the first job, so that a node need not wait for it as it starts."""
        from gateway.demo.tasks import DemoBroker

        return DemoBroker(self._settings)

    async def _start(self, request: Request, kind: str, meta: Mapping[str, Any]) -> str:
        """Queue a job of the caller's (of nobody's without a token); its id."""
        require_own_page(request, self._settings)
        caller = await self._callers.caller(request)
        if kind != provider.KIND:
            return await asyncio.to_thread(lambda: self.broker.put(kind, caller.subject, dict(meta)))
        job_id = f"{kind}-{secrets.token_hex(5)}"
        await provider.begin(self._publisher, job_id, caller.subject, dict(meta))
        return job_id

    async def generation(self, request: Request) -> Response:
        """``POST /api/generation`` ``{"prompt"}``."""
        prompt = (await _fields(request)).get("prompt")
        if not isinstance(prompt, str) or not 1 <= len(prompt) <= MAX_PROMPT:
            raise BadRequest(f'The prompt must be text of 1 to {MAX_PROMPT} characters: {{"prompt": "a cat"}}.')
        job_id = await self._start(request, "generation", {"prompt": prompt, "provider_id": PROVIDER_ID})
        return responses.json_response({"success": True, "sessionId": job_id, "providerId": PROVIDER_ID})

    async def character(self, request: Request) -> Response:
        """``POST /api/v1/characters/queue``; what the body says does not matter here."""
        await _fields(request)
        return responses.json_response({"data": {"jobId": await self._start(request, "character", {})}})

    async def job(self, request: Request) -> Response:
        """``POST /dev/jobs`` ``{"kind", "speed"?, "fail"?, "notify"?}``: a job of any kind; ``fail`` makes it fail
        halfway, and the client ``notify`` is told when it begins and ends."""
        kind, meta = _wish(await _fields(request))
        job_id = await self._start(request, kind, meta)
        place = f"{self._settings.root_path}/v1/jobs/{job_id}"
        body = {"job_id": job_id, "kind": kind, "events": f"{place}/events"}
        return responses.json_response(body, 201, {"location": place})

    async def watch(self, request: Request) -> Response:
        """``POST /dev/watch``: start a job and go to its stream, so that one ``curl -N -L -d kind=character`` shows
        it."""
        kind, meta = _wish(await _fields(request))
        job_id = await self._start(request, kind, meta)
        return RedirectResponse(
            f"{self._settings.root_path}/v1/jobs/{job_id}/events", 303, {"cache-control": "no-store"}
        )


def _wish(fields: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    kind = fields.get("kind", DEFAULT_KIND)
    if not isinstance(kind, str) or kind not in SCENARIOS:
        raise BadRequest(f"The kind must be one of {', '.join(SCENARIOS)}.")
    speed = fields.get("speed", DEFAULT_SPEED)
    if not isinstance(speed, str) or speed not in SPEEDS:
        raise BadRequest(f"The speed must be one of {', '.join(SPEEDS)}.")
    meta: dict[str, Any] = {"provider_id": PROVIDER_ID, "speed": speed}
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
    body = await read_json(request, SMALL_BODY_BYTES)
    if not isinstance(body, dict):
        raise BadRequest("The body must be a JSON object.")
    return body


async def _form(request: Request) -> Mapping[str, str]:
    body = await read(request, MAX_FORM)
    try:
        return dict(parse_qsl(body.decode()))
    except UnicodeDecodeError:
        raise BadRequest("The form is not UTF-8 text.") from None


def routes(
    endpoint: Endpoints, callers: Callers, publisher: AsyncPublisher, settings: Settings, ticket_key: TicketKey
) -> list[BaseRoute]:
    calls = DemoCalls(callers, publisher, settings)
    return [
        *chat.routes(callers, publisher, settings, ticket_key, lambda: calls.broker),
        endpoint("/api/generation", POST=calls.generation),
        endpoint("/api/v1/characters/queue", POST=calls.character),
        endpoint("/dev/jobs", POST=calls.job),
        endpoint("/dev/watch", POST=calls.watch),
    ]

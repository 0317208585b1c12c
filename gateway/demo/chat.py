"""``POST /api/chat``: what an application's own back end does for ``useChat``, with the demo's worker behind it."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.auth import tickets
from gateway.auth.callers import Callers
from gateway.auth.minting import mint_token
from gateway.auth.principal import Principal
from gateway.auth.same_site import require_own_page
from gateway.auth.ticket_key import TicketKey
from gateway.exceptions import BadRequest, Unauthorized, Unavailable
from gateway.http.body import read_json
from gateway.http.endpoint import publisher_errors
from gateway.settings.settings import Settings
from publisher import AsyncPublisher, PublisherError
from publisher import channels as names

if TYPE_CHECKING:
    from gateway.demo.tasks import DemoBroker

PATH: Final = "/api/chat"
MAX_QUESTION: Final = 1000
GUEST_S: Final = 3600


def question_of(body: object) -> tuple[str, str]:
    """The chat's id and the last question, of what ``useChat`` sends. Raises :class:`BadRequest` or ``ValueError``."""
    if not isinstance(body, dict):
        raise BadRequest('The body must be an object, as useChat sends it: {"id", "messages"}.')
    chat = names.check_id(body.get("id"), "chat id")
    messages = body.get("messages")
    asked = [_text_of(message) for message in messages] if isinstance(messages, list) else []
    if not asked:
        raise BadRequest('messages must be a list of messages: {"role": "user", "parts": [{"type": "text", "text"}]}.')
    return chat, next((text for text in reversed(asked) if text), "")[:MAX_QUESTION]


def _text_of(message: object) -> str:
    if not isinstance(message, dict) or message.get("role") != "user" or not isinstance(message.get("parts"), list):
        return ""
    texts = [part.get("text") for part in message["parts"] if isinstance(part, dict) and part.get("type") == "text"]
    return " ".join(text for text in texts if isinstance(text, str)).strip()


class ChatCalls:
    def __init__(
        self,
        callers: Callers,
        publisher: AsyncPublisher,
        settings: Settings,
        ticket_key: TicketKey,
        broker: Callable[[], DemoBroker],
    ) -> None:
        self._callers = callers
        self._publisher = publisher
        self._settings = settings
        self._ticket_key = ticket_key
        self._broker = broker

    async def ask(self, request: Request) -> Response:
        """``POST /api/chat`` ``{"id", "messages"}``: register an answer, have it written, and lead on to its stream."""
        require_own_page(request, self._settings)
        subject = await self._subject(request)
        chat, question = question_of(await read_json(request))
        with publisher_errors():
            if subject is not None:
                return self._leads_to(chat, await self._answered(chat, subject, question), {})
            return await self._as_guest(chat, question)

    async def _subject(self, request: Request) -> str | None:
        """Whose chat it is. The cookie of an earlier start of ``dev`` counts for none."""
        try:
            return (await self._callers.caller(request)).subject
        except Unauthorized:
            if "authorization" in request.headers:
                raise
            return None

    async def _answered(self, chat: str, owner: str, question: str) -> str:
        job_id = await self._publisher.create_answer(chat, owner=owner)
        try:
            await asyncio.to_thread(lambda: self._broker().put_answer(chat, owner, job_id, question))
        except Unavailable:
            await self._give_up(job_id)
            raise
        return job_id

    async def _give_up(self, job_id: str) -> None:
        """Nobody will write it."""
        with contextlib.suppress(PublisherError):
            await self._publisher.cancel_job(job_id)

    async def _as_guest(self, chat: str, question: str) -> Response:
        """Who sends no token is a user of its own, by a cookie for these paths alone; a chat belongs to somebody."""
        guest = f"guest-{secrets.token_hex(8)}"
        now = time.time()
        token = mint_token(self._settings, guest, scope="", channels=[], ttl_s=GUEST_S, now=now)
        job_id = await self._answered(chat, guest, question)
        key = (await self._ticket_key.get()).signing
        ticket = tickets.mint(Principal(guest), [names.job_channel(job_id)], key, now=now)
        answer = self._leads_to(chat, job_id, {"ticket": ticket.ticket})
        answer.set_cookie(
            self._settings.token_cookie,
            token,
            max_age=GUEST_S,
            path=f"{self._settings.root_path}{PATH}",
            httponly=True,
            samesite="lax",
        )
        return answer

    def _leads_to(self, chat: str, job_id: str, more: Mapping[str, Any]) -> Response:
        place = f"{self._settings.root_path}{PATH}/{quote(chat, safe='')}/stream"
        return RedirectResponse(f"{place}?{urlencode({'answer': job_id, **more})}", 303, {"cache-control": "no-store"})


def routes(
    callers: Callers,
    publisher: AsyncPublisher,
    settings: Settings,
    ticket_key: TicketKey,
    broker: Callable[[], DemoBroker],
) -> list[BaseRoute]:
    # No ``endpoint``, which refuses the cookie of an earlier start.
    return [Route(PATH, ChatCalls(callers, publisher, settings, ticket_key, broker).ask, methods=["POST"])]

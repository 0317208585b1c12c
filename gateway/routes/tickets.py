"""``POST /v1/tickets``: passes for browsers, whose EventSource cannot send a token."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.auth import access, tickets
from gateway.auth.callers import Callers
from gateway.auth.principal import Principal
from gateway.auth.ticket_key import TicketKey
from gateway.broker.history import History
from gateway.exceptions import BadRequest, Forbidden, NotFound, Unauthorized
from gateway.http import responses
from gateway.http.body import SMALL_BODY_BYTES, read_json
from gateway.http.endpoint import Endpoints
from gateway.http.validation import LIST, fields
from publisher import channels as names

BODY: Final = {"channels": LIST}


def asked_channels(body: object) -> tuple[str, ...]:
    """The channels that a ticket is asked for. Raises :class:`BadRequest` or ``ValueError``."""
    listed: list[object] = fields("The body", body, BODY, ("channels",))["channels"]
    if not 1 <= len(listed) <= tickets.MAX_CHANNELS:
        raise BadRequest(f"channels must name 1 to {tickets.MAX_CHANNELS} channels; it has {len(listed)}.")
    return tuple(dict.fromkeys(names.check_channel(channel) for channel in listed))


class TicketCalls:
    def __init__(self, callers: Callers, history: History, ticket_key: TicketKey) -> None:
        self._callers = callers
        self._history = history
        self._ticket_key = ticket_key

    async def mint(self, request: Request) -> Response:
        caller = await self._callers.caller(request)
        if caller.anonymous:
            raise Unauthorized("Tickets are for callers with a token: send it as Authorization: Bearer.")
        if not access.may_mint(caller):
            raise Forbidden("A ticket cannot be used to get tickets; use the token.")
        channels = asked_channels(await read_json(request, SMALL_BODY_BYTES))
        self._callers.check_channels(caller, channels)
        await self._check_jobs(caller, channels)
        keys = await self._ticket_key.get()
        ticket = tickets.mint(caller, channels, keys.signing, now=time.time())
        return responses.json_response(ticket._asdict())

    async def _check_jobs(self, caller: Principal, channels: Sequence[str]) -> None:
        """Raise :class:`NotFound` alike for a job that is not there and one that is not this caller's."""
        wanted = [job_id for channel in channels if (job_id := names.job_id_of(channel)) is not None]
        for job_id, facts in zip(wanted, await asyncio.gather(*map(self._history.facts, wanted)), strict=True):
            if facts is not None and self._callers.may_read(caller, names.job_channel(job_id), facts.owner):
                continue
            raise NotFound("There is no such job." if len(wanted) == 1 else "At least one of these jobs is not there.")


def routes(endpoint: Endpoints, callers: Callers, history: History, ticket_key: TicketKey) -> list[BaseRoute]:
    return [endpoint("/v1/tickets", POST=TicketCalls(callers, history, ticket_key).mint)]

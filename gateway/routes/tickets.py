"""``POST /v1/tickets``: passes for browsers, whose EventSource cannot send a token."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway import access, answers, tickets
from gateway.auth_errors import AuthError, AuthUnavailable
from gateway.body import read_json
from gateway.endpoint import endpoint
from gateway.exceptions import BadRequest, Forbidden, NotFound, Unauthorized, Unavailable
from gateway.fields import LIST, fields
from gateway.node import Node
from gateway.principal import Principal
from publisher import channels as names

BODY: Final = {"channels": LIST}


def asked_channels(body: object) -> tuple[str, ...]:
    """The channels that a ticket is asked for. Raises :class:`BadRequest` or ``ValueError``."""
    listed: list[object] = fields("The body", body, BODY, ("channels",))["channels"]
    if not 1 <= len(listed) <= tickets.MAX_CHANNELS:
        raise BadRequest(f"channels must name 1 to {tickets.MAX_CHANNELS} channels; it has {len(listed)}.")
    return tuple(dict.fromkeys(names.check_channel(channel) for channel in listed))


async def mint(node: Node, request: Request) -> Response:
    caller = await node.caller(request)
    if caller.anonymous:
        raise Unauthorized("Tickets are for callers with a token: send it as Authorization: Bearer.")
    if not access.may_mint(caller):
        raise Forbidden("A ticket cannot be used to get tickets; use the token.")
    channels = asked_channels(await read_json(request))
    node.check_channels(caller, channels)
    await _check_jobs(node, caller, channels)
    try:
        ticket = tickets.mint(caller, channels, await node.ticket_key.get(), now=time.time())
    except AuthError as error:
        raise Unauthorized.of(error) from None
    except AuthUnavailable as error:
        raise Unavailable(str(error)) from None
    return answers.json_response(ticket._asdict())


async def _check_jobs(node: Node, caller: Principal, channels: Sequence[str]) -> None:
    """Raise :class:`NotFound` alike for a job that is not there and one that is not this caller's."""
    wanted = [job_id for channel in channels if (job_id := names.job_id_of(channel)) is not None]
    readable = [job for job in await node.history.jobs(wanted) if node.may_read_job(caller, job)]
    if len(readable) < len(wanted):
        raise NotFound("There is no such job." if len(wanted) == 1 else "At least one of these jobs is not there.")


def routes(node: Node) -> list[BaseRoute]:
    return [endpoint(node, "/v1/tickets", POST=mint)]

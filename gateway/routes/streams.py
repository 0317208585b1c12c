"""The native streams."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.routing import BaseRoute

from gateway.auth.principal import Principal
from gateway.dialects.native import NativeEncoder, native_encoder
from gateway.exceptions import BadRequest
from gateway.streams.plan import Plan
from gateway.streams.route import StreamRoutes
from publisher import channels as names

MAX_CHANNELS = 32
MAX_LAST = 1000


def _encoder(request: Request) -> NativeEncoder:
    return native_encoder(
        request.query_params.get("envelope") in ("1", "true"), request.query_params.get("heartbeat") == "event"
    )


def plan_for(request: Request) -> Callable[..., Plan]:
    """What a request asks for, but for its channels."""
    encoder, last = _encoder(request), _last(request)
    return lambda *channels: Plan(channels, encoder, last=last)


def _plan(request: Request, *channels: str) -> Plan:
    return Plan(channels, _encoder(request), last=_last(request))


def _last(request: Request) -> int:
    text = request.query_params.get("last")
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 4 and 1 <= int(text) <= MAX_LAST):
        raise BadRequest(f"last must be a whole number from 1 to {MAX_LAST}.")
    return int(text)


def _job(request: Request, caller: Principal) -> Plan:
    return _plan(request, names.job_channel(request.path_params["job_id"]))


def _my_jobs(request: Request, caller: Principal) -> Plan:
    return _plan(request, names.user_channel(caller.known_subject()))


def _client(request: Request, caller: Principal) -> Plan:
    return _plan(request, names.client_channel(request.path_params["client_id"]), names.BROADCAST)


def _channels(request: Request, caller: Principal) -> Plan:
    asked = list(dict.fromkeys(request.query_params.getlist("channel")))
    if not 1 <= len(asked) <= MAX_CHANNELS:
        raise BadRequest(f"Name 1 to {MAX_CHANNELS} channels: ?channel=…&channel=…")
    return _plan(request, *(names.check_channel(channel) for channel in asked))


def routes(stream: StreamRoutes) -> list[BaseRoute]:
    encoder = native_encoder(False, False)
    plans = {
        "/v1/jobs/events": _my_jobs,
        "/v1/jobs/{job_id:id}/events": _job,
        "/v1/clients/{client_id:id}/events": _client,
        "/v1/events": _channels,
    }
    return [stream(path, plan, encoder) for path, plan in plans.items()]

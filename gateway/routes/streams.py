"""The native streams, and how their events look."""

from __future__ import annotations

from functools import cache
from typing import ClassVar

import orjson
from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from gateway import sse
from gateway.closing import Closing
from gateway.encoder import Encoder, closing_data
from gateway.exceptions import BadRequest
from gateway.job_json import job_json
from gateway.node import Node
from gateway.plan import Plan
from gateway.principal import Principal
from gateway.stream_route import StreamRoute
from publisher import channels as names
from publisher.envelope import Event
from publisher.job import Job

MAX_CHANNELS = 32


class NativeEncoder(Encoder):
    """Named events with their data as it was published; with ``envelope`` unnamed ones that say where they are from.

    What the node itself says (``stream.*``, ``job.state``) is named in both.
    """

    name: ClassVar[str] = "native"

    def __init__(self, *, envelope: bool, heartbeat_event: bool) -> None:
        self._envelope = envelope
        self._heartbeat = sse.json_block({}, b"stream.heartbeat") if heartbeat_event else sse.HEARTBEAT

    def opened(self, connection_id: str, channels: list[str], resumed: bool) -> list[bytes]:
        data = {"connection": connection_id, "channels": channels, "resumed": resumed}
        return [sse.json_block(data, b"stream.open")]

    def state(self, job: Job, seq: int) -> list[bytes]:
        return [sse.data_block(job_json(job), b"job.state")]

    def event(self, event: Event) -> bytes | None:
        if not self._envelope:
            return sse.data_block(event.data, event.type.encode())
        said = {
            "channel": event.channel,
            "seq": event.seq,
            "epoch": event.epoch,
            "type": event.type,
            "time": event.time,
        }
        if event.traceparent is not None:
            said["traceparent"] = event.traceparent
        head = orjson.dumps(said)
        return sse.data_block(b'%b,"data":%b}' % (head[:-1], event.data))

    def reset(self, channel: str, reason: str) -> list[bytes]:
        return [sse.json_block({"channel": channel, "reason": reason}, b"stream.reset")]

    def degraded(self, lost: bool) -> list[bytes]:
        return [sse.json_block({}, b"stream.degraded" if lost else b"stream.recovered")]

    def closing(self, closing: Closing) -> list[bytes]:
        return [sse.json_block(closing_data(closing), b"stream.close")]

    def heartbeat(self) -> bytes:
        return self._heartbeat


@cache
def native_encoder(envelope: bool, heartbeat_event: bool) -> NativeEncoder:
    """One object per kind, so that equal streams share their bytes."""
    return NativeEncoder(envelope=envelope, heartbeat_event=heartbeat_event)


def _encoder(request: Request) -> NativeEncoder:
    return native_encoder(
        request.query_params.get("envelope") in ("1", "true"), request.query_params.get("heartbeat") == "event"
    )


def _job(request: Request, caller: Principal) -> Plan:
    return Plan((names.job_channel(request.path_params["job_id"]),), _encoder(request))


def _my_jobs(request: Request, caller: Principal) -> Plan:
    return Plan((names.user_channel(caller.known_subject()),), _encoder(request))


def _client(request: Request, caller: Principal) -> Plan:
    return Plan((names.client_channel(request.path_params["client_id"]), names.BROADCAST), _encoder(request))


def _channels(request: Request, caller: Principal) -> Plan:
    asked = list(dict.fromkeys(request.query_params.getlist("channel")))
    if not 1 <= len(asked) <= MAX_CHANNELS:
        raise BadRequest(f"Name 1 to {MAX_CHANNELS} channels: ?channel=…&channel=…")
    return Plan(tuple(names.check_channel(channel) for channel in asked), _encoder(request))


def routes(node: Node) -> list[BaseRoute]:
    encoder = native_encoder(False, False)
    plans = {
        "/v1/jobs/events": _my_jobs,
        "/v1/jobs/{job_id:id}/events": _job,
        "/v1/clients/{client_id:id}/events": _client,
        "/v1/events": _channels,
    }
    return [Route(path, StreamRoute(node, plan, encoder), methods=["GET"]) for path, plan in plans.items()]

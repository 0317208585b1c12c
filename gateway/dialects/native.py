"""The native dialect: events as they were published, and what the node itself says beside them."""

from __future__ import annotations

from functools import cache
from typing import ClassVar

import orjson

from gateway.closing import Closing
from gateway.fanout import sse
from gateway.fanout.encoder import Encoder, as_published, closing_data
from gateway.http.job_json import job_json
from publisher.envelope import Event
from publisher.job import Job


class NativeEncoder(Encoder):
    """Named events with their data as it was published; with ``envelope`` unnamed ones that say where they are from.

    What the node itself says (``stream.*``, ``job.state``) is named in both.
    """

    name: ClassVar[str] = "native"

    def __init__(self, *, envelope: bool, heartbeat_event: bool) -> None:
        self._envelope = envelope
        self.verbatim = not envelope
        self._heartbeat = sse.json_block({}, b"stream.heartbeat") if heartbeat_event else sse.HEARTBEAT

    def opened(self, connection_id: str, channels: list[str], resumed: bool) -> list[bytes]:
        data = {"connection": connection_id, "channels": channels, "resumed": resumed}
        return [sse.json_block(data, b"stream.open")]

    def state(self, job: Job, seq: int) -> list[bytes]:
        return [sse.data_block(job_json(job), b"job.state")]

    def event(self, event: Event) -> bytes | None:
        if not self._envelope:
            return as_published(event)
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

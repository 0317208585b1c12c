"""Where the load test's events go: into Redis with the real publisher, or to a node's ``POST /v1/events``."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from typing import Any, Final, Protocol

import orjson

from gateway.http_client.blocking import blocking
from gateway.http_client.client import CallError
from publisher import Publisher, PublisherError
from publisher.core.reports import for_users
from publisher.keys import channel_keys
from publisher.redis import connect

TTL_S: Final = 900
"""What a load test leaves behind, if it cannot clean up, is gone after it."""
POST_S: Final = 10.0
MAX_RECEIPTS_BYTES: Final = 4 * 1024 * 1024

EventBatch = Sequence[tuple[str, str, dict[str, Any]]]


class SinkError(Exception):
    """Events cannot be published; the sentence says why."""


class Sink(Protocol):
    def send(self, batch: EventBatch) -> None:
        """Publish, in order. Raises :class:`SinkError`."""

    def clean(self, channels: Sequence[str]) -> None:
        """Take away what these channels have left, where that is possible."""

    def close(self) -> None: ...


class RedisSink:
    def __init__(self, url: str, prefix: str, max_event_bytes: int) -> None:
        self._url = url
        self._prefix = prefix
        self._publisher = Publisher.from_url(
            url, prefix=prefix, max_event_bytes=max_event_bytes, history_ttl_s=TTL_S, flush_timeout_s=0
        )

    def send(self, batch: EventBatch) -> None:
        try:
            self._publisher.publish_many(batch)
        except (PublisherError, ValueError) as error:
            raise SinkError(for_users(error)) from None

    def clean(self, channels: Sequence[str]) -> None:
        client: Any = connect.blocking(self._url)
        with contextlib.suppress(Exception), contextlib.closing(client):
            for channel in channels:
                for key in channel_keys(self._prefix, channel):
                    client.unlink(key)

    def close(self) -> None:
        self._publisher.close()


class HttpSink:
    def __init__(self, url: str, token: str) -> None:
        self._open = contextlib.ExitStack()
        self._client, self._runner = self._open.enter_context(blocking())
        base = url.rstrip("/")
        with contextlib.suppress(CallError):  # connecting is no part of what is measured; the first event tells
            self._runner.run(self._client.call(f"{base}/livez", timeout_s=POST_S, max_bytes=MAX_RECEIPTS_BYTES))
        self._url = f"{base}/v1/events"
        self._headers = {"Content-Type": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def send(self, batch: EventBatch) -> None:
        events = [{"channel": channel, "type": type, "data": data} for channel, type, data in batch]
        try:
            reply = self._runner.run(
                self._client.call(
                    self._url,
                    method="POST",
                    headers=self._headers,
                    body=orjson.dumps(events),
                    timeout_s=POST_S,
                    max_bytes=MAX_RECEIPTS_BYTES,
                )
            )
        except CallError as error:
            raise SinkError(f"POST /v1/events did not work: {error}.") from None
        if reply.status != 200:
            raise SinkError(f"POST /v1/events answers {reply.status}: {_message(reply.body)}")

    def clean(self, channels: Sequence[str]) -> None:
        return

    def close(self) -> None:
        self._open.close()


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, LookupError, TypeError):
        return "no reason given"

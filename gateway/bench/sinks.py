"""Where the load test's events go: into Redis with the real publisher, or to a node's ``POST /v1/events``."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Sequence
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import orjson

from publisher import Publisher, PublisherError, connect
from publisher.channels import keys
from publisher.reports import for_users

TTL_S: Final = 900
"""What a load test leaves behind, if it cannot clean up, is gone after it."""
POST_S: Final = 10.0

Batch = Sequence[tuple[str, str, dict[str, Any]]]


class SinkError(Exception):
    """Events cannot be published; the sentence says why."""


class Sink(Protocol):
    def send(self, batch: Batch) -> None:
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

    def send(self, batch: Batch) -> None:
        try:
            self._publisher.publish_many(batch)
        except (PublisherError, ValueError) as error:
            raise SinkError(for_users(error)) from None

    def clean(self, channels: Sequence[str]) -> None:
        client: Any = connect.blocking(self._url)
        with contextlib.suppress(Exception), contextlib.closing(client):
            for channel in channels:
                for key in keys(self._prefix, channel):
                    client.unlink(key)

    def close(self) -> None:
        self._publisher.close()


class HttpSink:
    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname or "", parts.port, timeout=POST_S)
        self._path = parts.path.rstrip("/") + "/v1/events"
        self._headers = {"Content-Type": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def send(self, batch: Batch) -> None:
        events = [{"channel": channel, "type": type, "data": data} for channel, type, data in batch]
        try:
            self._connection.request("POST", self._path, orjson.dumps(events), self._headers)
            answer = self._connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise SinkError(f"POST /v1/events did not work: {str(error) or type(error).__name__}.") from None
        if answer.status != 200:
            raise SinkError(f"POST /v1/events answers {answer.status}: {_message(body)}")

    def clean(self, channels: Sequence[str]) -> None:
        return

    def close(self) -> None:
        self._connection.close()


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, LookupError, TypeError):
        return "no reason given"

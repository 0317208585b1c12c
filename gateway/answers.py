"""Answers that are not streams: JSON, errors, and the soft refusal of a stream."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Final

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway import sse
from gateway.closing import Closing
from gateway.encoder import Encoder
from gateway.exceptions import HTTPError, Unauthorized

STREAM_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]
REFUSAL_RETRY_S: Final = (5, 30)


def json_response(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON that nobody may keep."""
    return json_bytes(orjson.dumps(data), status, headers)


def json_bytes(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """The same for what is JSON text already."""
    fixed = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
    return Response(body, status, {**fixed, **(headers or {})}, "application/json")


def error_response(error: HTTPError) -> Response:
    """``{"error": {"code", "message"}}`` with the right status."""
    headers: dict[str, str] = {}
    if isinstance(error, Unauthorized):
        headers["www-authenticate"] = error.challenge
    if error.status in (429, 503):
        headers["retry-after"] = str(random.randint(*REFUSAL_RETRY_S))
    if error.closes:
        headers["connection"] = "close"
    return json_response({"error": {"code": error.code, "message": error.sentence}}, error.status, headers)


async def start_stream(send: Send, status: int = 200) -> None:
    """The head of a stream; with 204 that of its absence, which makes a browser's EventSource stop."""
    headers = STREAM_HEADERS if status == 200 else [(b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def refuse_stream(
    scope: Scope, receive: Receive, send: Send, closing: Closing, encoder: Encoder, accepts_events: bool
) -> None:
    """Temporarily no. A browser's EventSource dies of any status but 200, so it gets a stream that says when to come
    back and ends; everybody else gets 429 or 503."""
    low, high = REFUSAL_RETRY_S
    if not accepts_events:
        status = 429 if closing in (Closing.NODE_LIMIT, Closing.USER_LIMIT, Closing.RATE_LIMIT) else 503
        error = {"error": {"code": closing.reason, "message": closing.sentence}}
        await json_response(error, status, {"retry-after": str(random.randint(low, high))})(scope, receive, send)
        return
    body = sse.retry(random.randint(low * 1000, high * 1000)) + encoder.refusal(closing)
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [*STREAM_HEADERS, length]})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

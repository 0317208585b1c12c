"""Answers that are not streams: JSON, errors, and the soft refusal of a stream."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import cache
from typing import Any, Final

import orjson
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.closing import Closing
from gateway.exceptions import REFUSAL_RETRY_S, HTTPError
from gateway.fanout import sse
from gateway.fanout.encoder import Encoder

STREAM_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]
Headers = tuple[tuple[bytes, bytes], ...]
PRIVATE: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


def json_response(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON that nobody may keep."""
    return json_bytes(orjson.dumps(data), status, headers)


def json_bytes(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """The same for what is JSON text already."""
    return Response(body, status, {**PRIVATE, **(headers or {})}, "application/json")


def json_stream(first: bytes, rest: AsyncIterator[bytes]) -> Response:
    """JSON that is made while the peer takes it: a slow reader holds one piece of it, not the whole."""

    async def pieces() -> AsyncIterator[bytes]:
        yield first
        async for piece in rest:
            yield piece

    return StreamingResponse(pieces(), 200, dict(PRIVATE), "application/json")


def error_response(error: HTTPError, status: int | None = None) -> Response:
    """``{"error": {"code", "message"}}`` with its status, or another one, and its headers."""
    body = {"error": {"code": error.code, "message": error.sentence}}
    return json_response(body, status or error.status, error.headers)


@cache
def start_stream(more: Headers = ()) -> Callable[[Send], Awaitable[None]]:
    """What sends the head of a stream with these headers beside those of all; one function for all such streams."""

    async def start(send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [*STREAM_HEADERS, *more]})

    return start


async def send_head(send: Send, more: Headers = ()) -> None:
    """What HEAD asks of a stream."""
    await start_stream(more)(send)
    await send({"type": "http.response.body", "body": b""})


async def no_more(scope: Scope, receive: Receive, send: Send) -> None:
    """There is nothing more to say; of 204 a browser's EventSource stops."""
    await send({"type": "http.response.start", "status": 204, "headers": [(b"cache-control", b"no-store")]})
    await send({"type": "http.response.body", "body": b""})


def refused_stream(closing: Closing, encoder: Encoder) -> ASGIApp:
    """Temporarily no. A browser's EventSource dies of any status but 200, so it gets a stream that says when to come
    back and ends."""
    low, high = REFUSAL_RETRY_S
    body = sse.retry(random.randint(low * 1000, high * 1000)) + encoder.refusal(closing)
    length = (b"content-length", str(len(body)).encode())

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [*STREAM_HEADERS, length]})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    return answer

"""A request's JSON body, bounded in size, time and depth before it is looked at."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

import orjson
from starlette.requests import ClientDisconnect, Request

from gateway.exceptions import BadRequest, BodyTooLarge, RequestTimeout
from publisher.jsontext import MAX_DEPTH, too_deep

MAX_BODY_BYTES: Final = 1024 * 1024
BODY_TIMEOUT_S: Final = 30.0

MAX_DISCARDED_BYTES: Final = 4 * MAX_BODY_BYTES
DISCARD_TIMEOUT_S: Final = 2.0


async def read_json(request: Request) -> Any:
    """The body's value. Raises :class:`BodyTooLarge`, :class:`RequestTimeout` or :class:`BadRequest`."""
    return parse(await _read(request))


def parse(body: bytes) -> Any:
    """The value of JSON text in UTF-8. Raises :class:`BadRequest`."""
    if not body.strip():
        raise BadRequest("The body is empty; it must be JSON.")
    if too_deep(body):
        raise BadRequest(f"The body nests arrays and objects more than {MAX_DEPTH} levels deep.")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"The body is not JSON in UTF-8: {error}.") from None


async def _read(request: Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await _read_all(request)
    except TimeoutError:
        raise RequestTimeout(f"The body was not complete within {BODY_TIMEOUT_S:g} seconds.") from None
    except ClientDisconnect:
        raise BadRequest("The connection was closed before the body was complete.") from None


async def _read_all(request: Request) -> bytes:
    if int(request.headers.get("content-length", "0")) > MAX_BODY_BYTES:
        await _discard(request)
        raise _too_large()
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY_BYTES:
            await _discard(request)
            raise _too_large()
        parts.append(part)
    return b"".join(parts)


async def _discard(request: Request) -> None:
    """Take a little more than is wanted: the answer is lost on a client that is cut off while it sends."""
    if "expect" in request.headers:
        return  # it sends nothing before it is told to
    size = 0
    with contextlib.suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(DISCARD_TIMEOUT_S):
            while size < MAX_DISCARDED_BYTES:
                message = await request.receive()
                size += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return


def _too_large() -> BodyTooLarge:
    return BodyTooLarge("The body is larger than 1 MiB; send less at once.")

"""A request's JSON body, bounded in size, time and depth before it is looked at."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import orjson
from starlette.requests import ClientDisconnect, Request

from gateway.exceptions import BadRequest, BodyTooLarge, RequestTimeout
from publisher.jsontext import MAX_DEPTH, check_integers, too_deep

MIB: Final = 1024 * 1024
MAX_BODY_BYTES: Final = MIB
SMALL_BODY_BYTES: Final = 16 * 1024
"""For routes whose bodies are short by nature, and which anybody with a token may ask."""
BODY_TIMEOUT_S: Final = 30.0


async def read_json(request: Request, limit: int = MAX_BODY_BYTES, *, timeout_s: float = BODY_TIMEOUT_S) -> Any:
    """The value of a body of at most ``limit`` bytes, which may take ``timeout_s``. Raises :class:`BodyTooLarge`,
    :class:`RequestTimeout` or :class:`BadRequest`."""
    return parse(await read(request, limit, timeout_s))


def parse(body: bytes) -> Any:
    """The value of JSON text in UTF-8. Raises :class:`BadRequest`."""
    if not body.strip():
        raise BadRequest("The body is empty; it must be JSON.")
    if too_deep(body):
        raise BadRequest(f"The body nests arrays and objects more than {MAX_DEPTH} levels deep.")
    try:
        check_integers(body, "body")
    except ValueError as error:
        raise BadRequest(str(error)) from None
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"The body is not JSON in UTF-8: {error}.") from None


async def read(request: Request, limit: int, timeout_s: float = BODY_TIMEOUT_S) -> bytes:
    """The body as it is. Raises :class:`BodyTooLarge`, :class:`RequestTimeout` or :class:`BadRequest`."""
    try:
        async with asyncio.timeout(timeout_s):
            return await _read_all(request, limit)
    except TimeoutError:
        raise RequestTimeout(f"The body was not complete within {timeout_s:g} seconds.") from None
    except ClientDisconnect:
        raise BadRequest("The connection was closed before the body was complete.") from None


async def _read_all(request: Request, limit: int) -> bytes:
    """What is not wanted is not read here: the connection takes in some of it when the answer is written."""
    if int(request.headers.get("content-length", "0")) > limit:
        raise _too_large(limit)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
    return b"".join(parts)


def _too_large(limit: int) -> BodyTooLarge:
    most = f"{limit // MIB} MiB" if limit % MIB == 0 else f"{limit // 1024} KiB"
    return BodyTooLarge(f"The body is larger than {most}; send less at once.")

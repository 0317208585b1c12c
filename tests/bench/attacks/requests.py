"""Eight sockets, without a token: requests that are never what they should be."""

from __future__ import annotations

import asyncio
from typing import Final

from tests.bench.attacks.attack import ask, flood, hold

SOCKETS: Final = 8
HEAD: Final = b"POST /v1/events HTTP/1.1\r\nHost: x\r\n"
CHUNKED: Final = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
LIVEZ: Final = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"


async def trailers(port: int) -> None:
    await flood(port, SOCKETS, CHUNKED + b"0\r\n", b"Trailer: x\r\n" * 5000)


async def one_trailer(port: int) -> None:
    await flood(port, SOCKETS, CHUNKED + b"0\r\nTrailer: ", b"x" * 65_536)


async def extensions(port: int) -> None:
    await flood(port, SOCKETS, CHUNKED + b"1;", b"x" * 65_536)


async def bytewise(port: int) -> None:
    await flood(port, SOCKETS, CHUNKED, b"1\r\nx\r\n" * 10_000)


async def endless_body(port: int) -> None:
    await flood(port, SOCKETS, CHUNKED, b"10000\r\n" + b"x" * 65_536 + b"\r\n")


async def many_headers(port: int) -> None:
    await ask(port, SOCKETS, b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\n" + b"X: a\r\n" * 2700 + b"\r\n")


async def many_parameters(port: int) -> None:
    await ask(port, SOCKETS, b"GET /v1/jobs?" + b"a&" * 8000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")


async def pipelined(port: int) -> None:
    await flood(port, SOCKETS, b"", LIVEZ * 1000)


async def plain(port: int) -> None:
    """What anybody may do, for comparison."""
    await ask(port, SOCKETS, LIVEZ)


async def slow_heads(port: int) -> None:
    """500 that never end their head."""
    await hold(port, 500, b"GET /livez HTTP/1.1\r\nHost:", pause_s=0.1)
    await asyncio.Event().wait()

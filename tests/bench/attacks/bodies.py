"""Bodies that nobody needs: too large, unfinished, or not read."""

from __future__ import annotations

from typing import Final

from tests.bench.attacks.attack import ask, head, hold

MIB: Final = 1024 * 1024


def _post(path: str, scope: str | None = None) -> bytes:
    return head("POST", path, scope)


async def tickets(port: int) -> None:
    """16 at once, each a mebibyte of JSON."""
    body = b"[" + b"[]," * (MIB // 3 - 10) + b"[]]"
    await ask(port, 16, _post("/v1/tickets") + b"Content-Length: %d\r\n\r\n" % len(body) + body)


async def unfinished_tickets(port: int) -> None:
    """500 with any token, 900 kB each, whose last byte never comes."""
    await hold(port, 500, _post("/v1/tickets") + b"Content-Length: 1000000\r\n\r\n" + b" " * 900_000, pause_s=1)


async def unfinished_events(port: int) -> None:
    """500 with a publisher's token."""
    await hold(
        port, 500, _post("/v1/events", scope="publish") + b"Content-Length: 1000000\r\n\r\n" + b" " * 900_000, pause_s=1
    )


async def unread(port: int) -> None:
    """500 idle connections whose request was answered without its body."""
    plain = b"GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n"
    await hold(port, 500, plain + b"x" * 300_000, pause_s=1)

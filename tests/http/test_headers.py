"""What every answer tells browsers and caches, and which pages of other sites may read it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.support.broker import Broker
from tests.support.eventsource import EventSource
from tests.support.http1 import Exchange, request
from tests.support.node import Node
from tests.support.ports import HOST
from tests.support.tokens import token

APP, EVIL = "https://app.example", "https://evil.example"
ANSWERS = [
    ("GET", "/v1/jobs", "ann", 200),
    ("GET", "/v1/jobs", None, 401),
    ("GET", "/v1/stats", "ann", 403),
    ("GET", "/v1/jobs/x", "ann", 404),
    ("GET", "/nowhere", None, 404),
    ("PUT", "/v1/jobs", None, 405),
    ("POST", "/v1/tickets", "ann", 400),
    ("GET", "/v1/events", "ann", 400),
    ("GET", "/v1/events?channel=topic:x", "ann", 403),
    ("POST", "/api/sse/notify", None, 401),
    ("GET", "/openapi.json", None, 200),
    ("GET", "/metrics", None, 200),
    ("GET", "/livez", None, 200),
    ("GET", "/readyz", None, 200),
]


@pytest.fixture(scope="module")
def node(broker: Broker) -> Iterator[Node]:
    with Node(broker.url, "headers", CORS_ORIGINS=APP, JOB_WAIT_S=0) as running:
        yield running


def allowed_origin(got: Exchange) -> str | None:
    return got.headers.get("access-control-allow-origin")


def credentials(who: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(who)}"} if who else {}


async def stream_head(node: Node, version: str, **headers: str) -> list[str]:
    """The lines of a stream's head in lower case, without its date."""
    reader, writer = await asyncio.open_connection(HOST, node.port)
    try:
        asked = {"Host": "x", "Authorization": f"Bearer {token('ann')}", **headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in asked.items())
        writer.write(f"GET /v1/events?channel=client:ann HTTP/{version}\r\n{lines}\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    finally:
        writer.transport.abort()
    return [line for line in head.split("\r\n") if line and not line.startswith("date:")]


async def test_the_head_of_a_stream_is_its_own_whoever_else_got_one_just_now(node: Node) -> None:
    usual = await stream_head(node, "1.1")
    assert usual[0] == "http/1.1 200 ok" and "transfer-encoding: chunked" in usual
    last = await stream_head(node, "1.1", Connection="close")
    old = await stream_head(node, "1.0")
    shared = await stream_head(node, "1.1", Origin=APP)
    assert set(last) - set(usual) == {"connection: close"}
    assert set(last) - set(old) == {"transfer-encoding: chunked"}
    assert f"access-control-allow-origin: {APP}" in shared
    assert await stream_head(node, "1.1") == usual


@pytest.mark.parametrize(("method", "path", "who", "status"), ANSWERS)
async def test_an_answer_is_kept_by_nobody_and_is_what_it_says(
    node: Node, method: str, path: str, who: str | None, status: int
) -> None:
    got = await request(node.base, path, method=method, headers=credentials(who))
    assert got.status == status
    assert got.headers["cache-control"] == "no-store"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert "server" not in got.headers
    assert "text/html" not in got.headers["content-type"]


@pytest.mark.parametrize(("method", "path", "who", "status"), ANSWERS)
async def test_pages_of_listed_origins_may_read_and_others_may_not(
    node: Node, method: str, path: str, who: str | None, status: int
) -> None:
    """Also errors: a page has to learn why."""
    listed = await request(node.base, path, method=method, headers={**credentials(who), "Origin": APP})
    assert (listed.status, allowed_origin(listed)) == (status, APP)
    assert listed.headers["access-control-allow-credentials"] == "true"
    assert "origin" in listed.headers["vary"].lower()
    for origin in (EVIL, "null", f"{APP}.evil.example", "http://app.example"):
        other = await request(node.base, path, method=method, headers={**credentials(who), "Origin": origin})
        assert allowed_origin(other) is None, origin


async def test_a_stream_is_kept_and_buffered_by_nobody(node: Node) -> None:
    headers = {"Origin": APP}
    async with EventSource(node.base, "/v1/events?channel=broadcast", token=token("ann"), headers=headers) as source:
        await source.opened()
        assert source.response_headers["content-type"] == "text/event-stream; charset=utf-8"
        assert source.response_headers["cache-control"] == "no-cache, no-transform"
        assert source.response_headers["x-accel-buffering"] == "no"
        assert source.response_headers["x-content-type-options"] == "nosniff"
        assert source.response_headers["access-control-allow-origin"] == APP
    async with EventSource(
        node.base, "/v1/events?channel=broadcast", token=token("ann"), headers={"Origin": EVIL}
    ) as source:
        await source.opened()
        assert "access-control-allow-origin" not in source.response_headers


@pytest.mark.parametrize("header", ["Authorization", "Cache-Control", "Content-Type", "Last-Event-ID"])
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
async def test_a_browser_may_ask_beforehand_for_what_front_ends_send(node: Node, method: str, header: str) -> None:
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": header.lower()}
    listed = await request(node.base, "/v1/jobs", method="OPTIONS", headers={"Origin": APP, **asked})
    assert (listed.status, allowed_origin(listed)) == (200, APP)
    assert method in listed.headers["access-control-allow-methods"]
    assert header.lower() in listed.headers["access-control-allow-headers"].lower()
    foreign = await request(node.base, "/v1/jobs", method="OPTIONS", headers={"Origin": EVIL, **asked})
    assert (foreign.status, allowed_origin(foreign)) == (400, None)

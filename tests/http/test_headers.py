"""What every answer tells browsers and caches, and which pages of other sites may read it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.broker import Broker
from tests.support.eventsource import EventSource
from tests.support.http1 import Exchange, request
from tests.support.node import Node
from tests.support.tokens import token

APP, EVIL = "https://app.example", "https://evil.example"
BEARER = {"Authorization": f"Bearer {token('ann')}"}
ANSWERS = [
    ("GET", "/v1/jobs", BEARER, 200),
    ("GET", "/v1/jobs", {}, 401),
    ("GET", "/v1/stats", BEARER, 403),
    ("GET", "/v1/jobs/x", BEARER, 404),
    ("GET", "/nowhere", {}, 404),
    ("PUT", "/v1/jobs", {}, 405),
    ("POST", "/v1/tickets", BEARER, 400),
    ("GET", "/v1/events", BEARER, 400),
    ("GET", "/v1/events?channel=topic:x", BEARER, 403),
    ("POST", "/api/sse/notify", {}, 401),
    ("GET", "/openapi.json", {}, 200),
    ("GET", "/metrics", {}, 200),
    ("GET", "/livez", {}, 200),
    ("GET", "/readyz", {}, 200),
]


@pytest.fixture(scope="module")
def node(broker: Broker) -> Iterator[Node]:
    with Node(broker.url, "headers", CORS_ORIGINS=APP, JOB_WAIT_S=0) as running:
        yield running


def allowed_origin(got: Exchange) -> str | None:
    return got.headers.get("access-control-allow-origin")


@pytest.mark.parametrize(("method", "path", "headers", "status"), ANSWERS)
async def test_an_answer_is_kept_by_nobody_and_is_what_it_says(
    node: Node, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    got = await request(node.base, path, method=method, headers=headers)
    assert got.status == status
    assert got.headers["cache-control"] == "no-store"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert "server" not in got.headers
    assert "text/html" not in got.headers["content-type"]


@pytest.mark.parametrize(("method", "path", "headers", "status"), ANSWERS)
async def test_pages_of_listed_origins_may_read_and_others_may_not(
    node: Node, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    """Also errors: a page has to learn why."""
    listed = await request(node.base, path, method=method, headers={**headers, "Origin": APP})
    assert (listed.status, allowed_origin(listed)) == (status, APP)
    assert listed.headers["access-control-allow-credentials"] == "true"
    assert "origin" in listed.headers["vary"].lower()
    for origin in (EVIL, "null", f"{APP}.evil.example", "http://app.example"):
        other = await request(node.base, path, method=method, headers={**headers, "Origin": origin})
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

"""The two calls of the dialect ``clients`` on real nodes."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.support.eventsource import EventSource
from tests.support.node import Node
from tests.support.tokens import token

NOTIFY, METRICS = "/api/sse/notify", "/api/sse/metrics"
GOOD = {"clientId": "ann", "event": "notification", "payload": {"message": "Grüße"}}


def bearer(scope: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token('back-end', scope=scope)}"}


async def call(node: Node, method: str, path: str, **options: Any) -> httpx.Response:
    async with httpx.AsyncClient(base_url=node.base, timeout=10, trust_env=False) as client:
        return await client.request(method, path, **options)


@asynccontextmanager
async def listening(*places: tuple[Node, str]) -> AsyncIterator[list[EventSource]]:
    """A stream for each (node, client), greeted, so that it counts."""
    async with AsyncExitStack() as stack:
        sources = [
            await stack.enter_async_context(EventSource(node.base, f"/api/sse/subscribe/{who}", token=token(who)))
            for node, who in places
        ]
        for source in sources:
            await source.next_of_type("__connected")
        yield sources


async def test_a_notification_reaches_the_client_on_every_node_and_says_how_many_streams_it_has(
    start_node: Callable[..., Node],
) -> None:
    one, two = start_node(), start_node()
    async with listening((one, "ann"), (two, "ann"), (two, "bob")) as (first, second, other):
        answer = await call(one, "POST", NOTIFY, json=GOOD, headers=bearer("publish"))
        assert answer.status_code == 200
        assert answer.json() == {"ok": True, "sent": True, "clientId": "ann", "connections": 2}
        for source in (first, second):
            event = await source.next_of_type("notification")
            assert event.json() == {"message": "Grüße"}
        broadcast = {"event": "alert", "payload": 1, "broadcast": True}
        answer = await call(two, "POST", NOTIFY, json=broadcast, headers=bearer("publish"))
        assert answer.json() == {"ok": True, "sent": True, "connections": 3}
        await other.next_of_type("alert")
        assert other.of_type("notification") == []
        figures = await call(one, "GET", METRICS, headers=bearer("stats"))
        assert figures.json() == {"totalConnections": 3, "totalClients": 2, "averageConnectionsPerClient": 1.5}


async def test_a_notification_for_nobody_is_not_sent_but_kept(start_node: Callable[..., Node]) -> None:
    """Who is away for a moment gets it when it comes back."""
    node = start_node()
    async with listening((node, "ann")) as (source,):
        cursor = source.last_event_id
    answer = await call(node, "POST", NOTIFY, json=GOOD, headers=bearer("publish"))
    assert answer.status_code == 200
    assert (await call(node, "POST", NOTIFY, json={**GOOD, "clientId": "zoe"}, headers=bearer("publish"))).json() == {
        "ok": True,
        "sent": False,
        "clientId": "zoe",
        "connections": 0,
    }
    async with EventSource(node.base, "/api/sse/subscribe/ann", token=token("ann"), last_event_id=cursor) as back:
        assert (await back.next_of_type("notification")).json() == {"message": "Grüße"}


BAD: dict[str, tuple[dict[str, Any], int]] = {
    "not JSON": ({"content": b"{"}, 400),
    "not UTF-8": ({"content": b'"\xff"'}, 400),
    "nothing": ({"content": b""}, 400),
    "a list": ({"json": []}, 400),
    "nobody": ({"json": {"event": "hi", "payload": 1}}, 400),
    "a job's type": ({"json": {**GOOD, "event": "job.completed"}}, 400),
    "line breaks in the name": ({"json": {**GOOD, "event": "a\r\nb"}}, 400),
    "NUL in the client": ({"json": {**GOOD, "clientId": "a\0"}}, 400),
    "too deep": ({"content": b'{"clientId":"ann","event":"hi","payload":' + b"[" * 40 + b"]" * 40 + b"}"}, 400),
    "a body too large": ({"content": b'"' + b"a" * 1_048_577 + b'"'}, 413),
    "an event too large": ({"json": {**GOOD, "payload": "a" * 262_145}}, 413),
}


async def test_bad_notifications_are_refused_in_the_dialects_shape(start_node: Callable[..., Node]) -> None:
    node = start_node()
    for name, (body, status) in BAD.items():
        answer = await call(node, "POST", NOTIFY, headers=bearer("publish"), **body)
        assert answer.status_code == status, (name, answer.text)
        assert answer.json()["ok"] is False and answer.json()["error"], name
    assert "Traceback" not in node.log


@pytest.mark.parametrize(("method", "path", "scope"), [("POST", NOTIFY, "publish"), ("GET", METRICS, "stats")])
async def test_the_calls_need_their_scope(method: str, path: str, scope: str, start_node: Callable[..., Node]) -> None:
    """Anonymous reading is no leave to write or count."""
    node = start_node(ANONYMOUS="read")
    body = {"json": GOOD} if method == "POST" else {}
    without = await call(node, method, path, **body)
    assert without.status_code == 401 and without.json()["ok"] is False
    assert without.headers["www-authenticate"].startswith("Bearer")
    other = await call(node, method, path, headers=bearer(None), **body)
    assert other.status_code == 403 and other.json()["ok"] is False
    for enough in (scope, "admin"):
        assert (await call(node, method, path, headers=bearer(enough), **body)).status_code == 200


async def test_a_cookie_from_another_site_notifies_nobody(start_node: Callable[..., Node]) -> None:
    node = start_node()
    cookie = {"Cookie": f"sse_token={token('back-end', scope='publish')}"}
    for origin in ({}, {"Origin": "https://evil.example"}):
        refused = await call(node, "POST", NOTIFY, json=GOOD, headers={**cookie, **origin})
        assert refused.status_code == 403 and refused.json()["ok"] is False
    own = await call(node, "POST", NOTIFY, json=GOOD, headers={**cookie, "Origin": node.base})
    assert own.status_code == 200


async def test_in_development_anybody_may_notify_and_count(redis_url: str, prefix: str) -> None:
    command = (sys.executable, "-m", "gateway", "dev", "--no-demo", "--redis-url", redis_url)
    with Node(redis_url, prefix, command=command) as node:
        sent = await call(node, "POST", NOTIFY, json=GOOD)
        assert (sent.status_code, sent.json()["ok"]) == (200, True)
        assert (await call(node, "GET", METRICS)).json()["totalClients"] == 0

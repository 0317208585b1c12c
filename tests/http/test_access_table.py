"""The access table, tried out: every route with every kind of credentials, on nodes of opposite settings."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import redis
from starlette.applications import Starlette
from starlette.routing import Route

from gateway.app import create_app
from gateway.node import Node as InnerNode
from gateway.settings.settings import Settings
from publisher import Publisher
from publisher.keys import channel_keys
from tests.http.access_bearers import (
    AUDIENCE,
    ISSUER,
    ISSUER_KEY,
    KEY_ID,
    LISTED_ORIGIN,
    TICKET_KEY,
    Bearer,
    bearer,
    everybody,
    issued,
)
from tests.http.access_calls import CALLS, Case, expected, page, rows
from tests.support.broker import Broker
from tests.support.http1 import Exchange, HttpStream, request
from tests.support.key_server import KeyServer
from tests.support.node import Node
from tests.support.tokens import SECRET

AT_ONCE = 24
METRICS_TOKEN = "the-token-of-the-metrics-of-the-table"
MARKER = "for-ann-alone"
"""In the jobs of ann; no refusal may hold it."""
COMMON: dict[str, Any] = {
    "JWT_ALGORITHMS": "RS256",
    "JWT_AUDIENCE": AUDIENCE,
    "JWT_ISSUER": ISSUER,
    "TICKET_KEY": TICKET_KEY,
    "METRICS_TOKEN": METRICS_TOKEN,
    "CORS_ORIGINS": LISTED_ORIGIN,
    "MAX_CONNECTIONS_PER_USER": 0,
    "CONNECT_RATE_PER_S": 0,
    "JOB_WAIT_S": 0,
    "LOG_LEVEL": "debug",
    "MERCURE": "true",
}
KEY_SET: dict[str, Any] = {"ANONYMOUS": "deny", "QUERY_TOKENS": "false"}
PEM: dict[str, Any] = {
    "ANONYMOUS": "read",
    "QUERY_TOKENS": "true",
    "JWT_KEY": ISSUER_KEY.public,
    "JWT_REQUIRE_SUB": "false",
    "MERCURE_ANONYMOUS": "true",
}


class Place(NamedTuple):
    """A node with its settings and Redis."""

    node: Node
    broker: Broker
    prefix: str
    open: bool
    """Anonymous reading, query tokens and tokens without subject are on, the key is a PEM; else off, and a key set."""


@pytest.fixture(params=["closed", "open"])
def place(request: pytest.FixtureRequest, broker: Broker, prefix: str, unmeasured: None) -> Iterator[Place]:
    is_open = request.param == "open"
    with KeyServer(**{KEY_ID: ISSUER_KEY}) as key_server:
        settings = PEM if is_open else {**KEY_SET, "JWKS_URL": key_server.url}
        with Node(broker.url, prefix, **COMMON, **settings) as node:
            yield Place(node, broker, prefix, is_open)


@pytest.fixture
def publisher(place: Place) -> Iterator[Publisher]:
    with Publisher.from_url(place.broker.url, prefix=place.prefix) as running:
        for owner, kind in itertools.product(("ann", None), ("character", "media")):
            running.create_job(f"{owner or 'free'}-{kind}", kind=kind, owner=owner, meta={"note": MARKER})
        running.create_answer("ann-chat", owner="ann", job_id="ann-answer", meta={"note": MARKER})
        yield running


async def production() -> Starlette:
    node = InnerNode(Settings(jwt_key=SECRET, mercure=True), version="0", on_crash=lambda: None)
    try:
        return create_app(node)
    finally:
        await node.close()


APP = asyncio.run(production())


def served() -> set[tuple[str, str]]:
    """Method and path of every route that a production node has."""
    routes = [route for route in APP.routes if isinstance(route, Route)]
    assert len(routes) == len(APP.routes), "a kind of route that the table does not know"
    methods = ((method, route.path) for route in routes for method in (route.methods or set()) - {"HEAD"})
    return {(method, re.sub(r":\w+}", "}", path)) for method, path in methods}


def calls() -> list[Case]:
    pages = (page(path) for method, path in sorted(served()) if method == "GET")
    return [*CALLS, *filter(None, pages)]


def test_the_table_has_every_route() -> None:
    assert {(call.method, call.route) for call in calls()} == served()
    assert {call.row for call in calls()} == set(rows())


def tries(bearers: list[Bearer], is_open: bool) -> Iterator[tuple[Case, Bearer]]:
    """Who is refused in any case is tried once per route, all others with every call."""
    first = {(call.method, call.route): call for call in reversed(calls())}.values()
    for who in bearers:
        for call in first if who.column == "bad" else calls():
            if expected(call.row, who.column_of(call), anonymous_reading=is_open) != "-":
                yield call, who


async def test_everybody_gets_what_the_table_says_and_nothing_else(place: Place, publisher: Publisher) -> None:
    base = place.node.base
    elsewhere = await ticket(base, ("topic:elsewhere",))
    gone = issued("gone", scope="admin", channels=["*"])
    bearers = everybody(base, elsewhere, gone, query_tokens=place.open, key_set=not place.open)
    table = Table(place, publisher)
    await table.revoke(gone, {call.channels for call in calls()})
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, call: Case, who: Bearer) -> None:
        async with limit:
            await table.attempt(f"c{number}", call, who)

    todo = list(tries(bearers, place.open))
    await asyncio.gather(*(one(number, *each) for number, each in enumerate(todo)))
    assert not table.wrong, "\n".join(table.wrong[:40])
    assert len(todo) > 1000
    texts = [part for each in bearers for part in (each.query, *each.headers.values())]
    await check_secrecy(place.node, [*texts, *table.sent])


class Table:
    """Tries calls and collects in ``wrong`` what was not as the table has it."""

    def __init__(self, place: Place, publisher: Publisher) -> None:
        self.wrong: list[str] = []
        self.sent: list[str] = []
        self._place = place
        self._publisher = publisher
        self._of_gone: dict[tuple[str, ...], str] = {}

    async def revoke(self, gone: str, channels: set[tuple[str, ...]]) -> None:
        """Get tickets while the token ``gone`` is good, and revoke its subject."""
        base = self._place.node.base
        for each in channels:
            if "job:missing" not in "".join(each):
                self._of_gone[each] = await ticket(base, each, gone)
        asked = await request(base, "/v1/clients/gone?revoke=true", method="DELETE", headers=bearer(_admin()))
        assert asked.status == 200

    async def attempt(self, cell: str, call: Case, who: Bearer) -> None:
        """One cell of the table."""
        if call.effect.startswith(("status", "paused")):
            self._prepare(cell, call)
        query = who.query
        if who.minted:
            text = await self._minted(who.minted, call.channels)
            self.sent.append(text)
            query = f"ticket={text}"
        path = call.path.replace("{cell}", cell)
        join = "&" if "?" in path else "?"
        body = json.dumps(call.body).replace("{cell}", cell).encode() if call.body is not None else b""
        headers = dict(who.headers)
        if call.form:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = call.form.replace("{cell}", cell).encode()
        got = await ask(self._place.node.base, call.method, f"{path}{join}{query}", headers, body)
        self._judge(cell, call, who, got)

    def _judge(self, cell: str, call: Case, who: Bearer, got: Exchange) -> None:
        wanted = expected(call.row, who.column_of(call), anonymous_reading=self._place.open)
        status = call.allowed if wanted == "200" else int(wanted)
        what = f"{who.name}: {call.method} {call.path.replace('{cell}', cell)}"
        if got.status != status:
            self.wrong.append(f"{what} was answered {got.status} instead of {status}: {got.body[:200]!r}")
        if got.status == 401 and got.headers.get("www-authenticate", "").partition(" ")[0] != "Bearer":
            self.wrong.append(f"{what} got a 401 without a challenge")
        if status >= 400 and MARKER.encode() in got.body:
            self.wrong.append(f"{what} was refused with what it may not read")
        if call.effect and self._is_done(call.effect.replace("{cell}", cell)) != (wanted == "200"):
            self.wrong.append(f"{what} was answered {got.status}, but its effect says otherwise")

    async def _minted(self, whose: str, channels: tuple[str, ...]) -> str:
        if whose == "gone":
            return self._of_gone.get(channels) or next(iter(self._of_gone.values()))
        return await ticket(self._place.node.base, channels)

    def _prepare(self, cell: str, call: Case) -> None:
        _, job_id, _ = call.effect.replace("{cell}", cell).split()
        if not job_id.startswith("made"):
            self._publisher.create_job(job_id, kind="k", owner="ann" if job_id.startswith("ann") else None)
        if call.effect.endswith("False"):
            self._publisher.pause_job(job_id)

    def _is_done(self, effect: str) -> bool:
        what, name, *more = effect.split()
        if what == "status":
            job = self._publisher.get_job(name)
            return job is not None and job.status == more[0]
        if what == "paused":
            job = self._publisher.get_job(name)
            return job is not None and str(job.paused) == more[0]
        with redis.Redis.from_url(self._place.broker.url) as client:
            if what == "event":
                return bool(client.exists(channel_keys(self._place.prefix, name).log))
            return client.zscore(f"{self._place.prefix}:{{gateway}}:revoked", name) is not None


def _admin() -> str:
    return issued("root", scope="admin")


async def ticket(base: str, channels: tuple[str, ...], by: str | None = None) -> str:
    """A ticket for these channels, of ann unless ``by`` is another's token."""
    body = json.dumps({"channels": channels}).encode()
    headers = {**bearer(by or issued("ann", channels=["*"])), "Content-Type": "application/json"}
    got = await request(base, "/v1/tickets", method="POST", headers=headers, body=body)
    assert got.status == 200, got.body
    return str(json.loads(got.body)["ticket"])


async def ask(base: str, method: str, path: str, headers: object, body: bytes) -> Exchange:
    """One call; of a stream only the head."""
    exchange = Exchange(base, {"Connection": "close", **headers})  # type: ignore[dict-item]
    stream = await HttpStream.open(exchange, path.rstrip("?&"), method=method, body=body)
    try:
        if not exchange.headers.get("content-type", "").startswith("text/event-stream"):
            async for _ in stream.chunks():
                pass
    finally:
        stream.abort()
    return exchange


async def check_secrecy(node: Node, texts: list[str]) -> None:
    """Neither the log nor what the node tells of itself holds a token, a ticket, a signature or a key."""
    metrics = await request(node.base, "/metrics", headers=bearer(METRICS_TOKEN))
    assert metrics.status == 200
    description = await request(node.base, "/openapi.json")
    told = "\n".join([node.log, metrics.body.decode(), description.body.decode()])
    tokens = {found for text in texts for found in re.findall(r"[\w-]+\.[\w-]+\.[\w-]{20,}", text)}
    assert len(tokens) > 40
    secrets = {part for text in tokens for part in text.split(".")[1:]} | {TICKET_KEY, METRICS_TOKEN}
    assert not [secret for secret in secrets if secret in told]
    assert "Traceback" not in node.log

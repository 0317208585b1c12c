"""Who may publish and subscribe on the Mercure hub, with the tokens of 0.x and of 1.0."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.broker import Broker
from tests.support.http1 import request
from tests.support.mercure import (
    AUDIENCE,
    ISSUER,
    KEYS,
    METADATA,
    MODERN,
    PATH,
    PUBLISHER_KEY,
    SUBSCRIBER_KEY,
    HubClient,
    bare,
    classic,
    detail,
    fields,
    heard,
    modern,
)
from tests.support.node import Node
from tests.support.tokens import SECRET, token

Bearer = Callable[[], str]
OURS = "https://pages.example"
PATTERN = {"match": "https://example.com/:kind/1", "match_type": "urlpattern"}


@pytest.fixture(scope="module")
def hub_settings() -> dict[str, Any]:
    """With keys of the hub's own, and the node's for everything else."""
    return {**KEYS, **MODERN, "CORS_ORIGINS": OURS}


@pytest.fixture(scope="module")
def plain_node(broker: Broker) -> Iterator[Node]:
    """With the node's key alone."""
    with Node(broker.url, f"m{secrets.token_hex(5)}", MERCURE="true", QUERY_TOKENS="true") as running:
        yield running


@pytest.fixture
def hub(hub_node: Node) -> HubClient:
    return HubClient(hub_node.base, PUBLISHER_KEY)


@pytest.fixture
def plain(plain_node: Node) -> HubClient:
    return HubClient(plain_node.base)


def publishes(*topics: Any, **claims: Any) -> str:
    return modern(detail(["publish"], *topics), key=PUBLISHER_KEY, **claims)


def reads(*topics: Any, **claims: Any) -> str:
    return modern(detail(["subscribe"], *topics), key=SUBSCRIBER_KEY, **claims)


# Publishing ---


MAY_PUBLISH: dict[str, tuple[Bearer, str]] = {
    "everything": (lambda: classic(PUBLISHER_KEY, publish=["*"]), "a"),
    "a topic": (lambda: classic(PUBLISHER_KEY, publish=["b", "a"]), "a"),
    "a template": (lambda: classic(PUBLISHER_KEY, publish=["https://e.com/{id}"]), "https://e.com/1"),
    "nothing but the claim": (lambda: bare({"mercure": {"publish": ["*"]}}, PUBLISHER_KEY), "a"),
    "1.0": (lambda: publishes("a"), "a"),
    "1.0, everything": (lambda: publishes("*"), "a"),
    "1.0, a URL pattern": (lambda: publishes(PATTERN), "https://example.com/books/1"),
    "1.0, by the type's full name": (lambda: publishes("a", typ="application/AT+JWT"), "a"),
    "1.0, several audiences": (lambda: publishes("a", aud=["x", AUDIENCE]), "a"),
    "1.0, an action more": (lambda: modern(detail(["delete", "publish"], "a"), key=PUBLISHER_KEY), "a"),
    "1.0, a detail of another kind": (
        lambda: modern({"type": "tenant", "topics": "acme"}, detail(["publish"], "a"), key=PUBLISHER_KEY),
        "a",
    ),
    "1.0, the kind as an address": (
        lambda: modern(
            {**detail(["publish"], "a"), "type": "https://mercure.rocks/authorization-detail"}, key=PUBLISHER_KEY
        ),
        "a",
    ),
}


@pytest.mark.parametrize(("bearer", "topic"), MAY_PUBLISH.values(), ids=MAY_PUBLISH.keys())
async def test_who_may_publish(hub: HubClient, bearer: Bearer, topic: str) -> None:
    for more in ((), (("private", "on"),)):
        answer = await hub.post(fields(("topic", topic), *more), bearer())
        assert answer.status == 200, answer.body


MAY_NOT: dict[str, tuple[Bearer, str]] = {
    "no claim": (lambda: token(key=PUBLISHER_KEY), "a"),
    "native scopes": (lambda: token(key=PUBLISHER_KEY, scope="publish admin"), "a"),
    "an empty list": (lambda: classic(PUBLISHER_KEY, publish=[]), "a"),
    "no list": (lambda: classic(PUBLISHER_KEY, subscribe=["*"]), "a"),
    "another topic": (lambda: classic(PUBLISHER_KEY, publish=["b"]), "a"),
    "a template that does not fit": (
        lambda: classic(PUBLISHER_KEY, publish=["https://e.com/{id}"]),
        "https://e.com/1/2",
    ),
    "1.0, another topic": (lambda: publishes("b"), "a"),
    "1.0, to read only": (lambda: modern(detail(["subscribe"], "*"), key=PUBLISHER_KEY), "a"),
    "1.0, no details": (lambda: modern(key=PUBLISHER_KEY), "a"),
    "1.0, the claim of 0.x": (lambda: modern(key=PUBLISHER_KEY, mercure={"publish": ["*"]}), "a"),
    "0.x, the claim of 1.0": (
        lambda: token(key=PUBLISHER_KEY, authorization_details=[detail(["publish"], "*")]),
        "a",
    ),
}


@pytest.mark.parametrize(("bearer", "topic"), MAY_NOT.values(), ids=MAY_NOT.keys())
async def test_who_may_not_publish(hub: HubClient, bearer: Bearer, topic: str) -> None:
    sent = bearer()
    answer = await hub.post(fields(topic=topic), sent)
    assert answer.status == 403, answer.body
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


async def test_all_topics_of_an_update_have_to_be_allowed(hub: HubClient) -> None:
    body = fields(("topic", "a"), ("topic", "b"))
    assert (await hub.post(body, classic(PUBLISHER_KEY, publish=["a"]))).status == 403
    assert (await hub.post(body, classic(PUBLISHER_KEY, publish=["a", "b"]))).status == 200


async def test_an_update_of_1_0_has_one_topic(hub: HubClient) -> None:
    assert (await hub.post(fields(("topic", "a"), ("topic", "b")), publishes("*"))).status == 400


def _bad_details(value: Any) -> Bearer:
    return lambda: modern(key=PUBLISHER_KEY, authorization_details=value)


BAD_TOKENS: dict[str, Bearer] = {
    "garbage": lambda: "garbage",
    "another key": lambda: classic(publish=["*"]),
    "the subscribers' key": lambda: classic(SUBSCRIBER_KEY, publish=["*"]),
    "another algorithm": lambda: classic(PUBLISHER_KEY, publish=["*"], algorithm="HS384"),
    "expired": lambda: classic(PUBLISHER_KEY, publish=["*"], ttl_s=-60),
    "not valid yet": lambda: classic(PUBLISHER_KEY, publish=["*"], nbf=time.time() + 600),
    "a claim that is no object": lambda: token(key=PUBLISHER_KEY, mercure=["*"]),
    "a list that is none": lambda: classic(PUBLISHER_KEY, publish="*"),
    "a selector that is no text": lambda: classic(PUBLISHER_KEY, publish=[1]),
    "a selector that is too long": lambda: classic(PUBLISHER_KEY, publish=["x" * 4097]),
    "1.0, expired": lambda: publishes("*", ttl_s=-60),
    "1.0, no exp": lambda: publishes("*", ttl_s=None),
    "1.0, another issuer": lambda: publishes("*", iss="https://else.example"),
    "1.0, no issuer": lambda: publishes("*", iss=None),
    "1.0, another audience": lambda: publishes("*", aud="https://else.example"),
    "1.0, no audience": lambda: publishes("*", aud=None),
    "1.0, details that are no list": _bad_details("x"),
    "1.0, a detail that is no object": _bad_details(["x"]),
    "1.0, no actions": _bad_details([{"type": "mercure", "topics": [{"match": "*"}]}]),
    "1.0, actions that are no texts": _bad_details([{**detail(["publish"], "*"), "actions": [1]}]),
    "1.0, no topics": _bad_details([{"type": "mercure", "actions": ["publish"], "topics": []}]),
    "1.0, a matcher that is a text": _bad_details([{**detail(["publish"]), "topics": ["*"]}]),
    "1.0, a matcher without its text": _bad_details([{**detail(["publish"]), "topics": [{}]}]),
    "1.0, a kind that is not there": _bad_details([detail(["publish"], {"match": "a", "match_type": "regexp"})]),
    "1.0, a kind in another case": _bad_details([detail(["publish"], {"match": "a", "match_type": "Exact"})]),
    "1.0, no URL pattern": _bad_details([detail(["publish"], {"match": "(", "match_type": "urlpattern"})]),
    "1.0, one bad detail beside a good one": _bad_details([detail(["publish"], "*"), detail([], "a")]),
    "1.0, a payload that is no object": _bad_details([detail(["publish"], "*", payload="x")]),
    "1.0, too many matchers": _bad_details([detail(["publish"], *["a"] * 101)]),
    "1.0, too many details": _bad_details([detail(["publish"], "a")] * 101),
}


@pytest.mark.parametrize("kind", BAD_TOKENS)
async def test_a_bad_token_is_refused_alike(hub: HubClient, kind: str) -> None:
    """One kind of answer, whatever is wrong; those of 1.0 also learn where to look."""
    answer = await hub.post(fields(topic="a"), BAD_TOKENS[kind]())
    assert answer.status == 401, answer.body
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith('Bearer error="invalid_token"')
    assert (f'resource_metadata="{hub.base}{METADATA}"' in challenge) is kind.startswith(("1.0", "garbage"))


async def test_a_token_that_comes_oddly_is_a_bad_request(hub: HubClient) -> None:
    answer = await hub.post(fields(topic="a"), "", headers={"Authorization": "Token x.y.z"})
    assert answer.status == 400
    assert 'error="invalid_request"' in answer.headers["www-authenticate"]


async def test_without_a_token_nobody_publishes(hub: HubClient) -> None:
    answer = await hub.post(fields(topic="a"), "")
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == f'Bearer resource_metadata="{hub.base}{METADATA}"'


# Subscribing ---


async def test_without_a_token_nobody_subscribes_unless_the_hub_is_open(hub: HubClient) -> None:
    answer = await hub.get(f"{PATH}?topic=a")
    assert answer.status == 401
    assert "error" not in answer.headers["www-authenticate"]
    for sent in (classic(subscribe=["*"]), classic(PUBLISHER_KEY), "x.y.z"):
        assert (await hub.get(f"{PATH}?topic=a", sent)).status == 401


PRIVATE: dict[str, tuple[Bearer, bool]] = {
    "everything": (lambda: classic(SUBSCRIBER_KEY, subscribe=["*"]), True),
    "the topic": (lambda: classic(SUBSCRIBER_KEY, subscribe=["https://example.com/books/1"]), True),
    "the alternate": (lambda: classic(SUBSCRIBER_KEY, subscribe=["https://example.com/users/7"]), True),
    "a template": (lambda: classic(SUBSCRIBER_KEY, subscribe=["https://example.com/users/{id}"]), True),
    "nothing": (lambda: classic(SUBSCRIBER_KEY, subscribe=[]), False),
    "no claim": (lambda: token(key=SUBSCRIBER_KEY), False),
    "another topic": (lambda: classic(SUBSCRIBER_KEY, subscribe=["https://example.com/books/2"]), False),
    "1.0, everything": (lambda: reads("*"), True),
    "1.0, the topic": (lambda: reads("https://example.com/books/1"), True),
    "1.0, a URL pattern": (lambda: reads(PATTERN), True),
    "1.0, a template is none": (lambda: reads("https://example.com/books/{id}"), False),
    "1.0, to publish only": (lambda: modern(detail(["publish"], "*"), key=SUBSCRIBER_KEY), False),
}


@pytest.mark.parametrize(("bearer", "comes"), PRIVATE.values(), ids=PRIVATE.keys())
async def test_private_updates_are_for_those_who_may_read_a_topic(hub: HubClient, bearer: Bearer, comes: bool) -> None:
    """Live and from the history alike; what is public comes in any case."""
    before = await hub.publish("before", "before")
    query = [("topic", "https://example.com/books/{id}"), ("topic", "end")]
    private = [("topic", "https://example.com/users/7"), ("private", "")]
    expected = [*(["private"] if comes else []), "public", "end"]
    async with hub.stream(query, bearer()) as stream:
        await stream.opened()
        await hub.publish("https://example.com/books/1", "private", *private)
        await hub.publish("https://example.com/books/3", "public")
        await hub.publish("end", "end")
        assert await heard(stream, "end") == expected
    async with hub.stream(query, bearer(), last_event_id=before) as stream:
        assert await heard(stream, "end") == expected


async def test_a_stream_ends_with_its_token(hub: HubClient) -> None:
    async with hub.stream({"topic": "a"}, classic(SUBSCRIBER_KEY, ttl_s=-8.0)) as stream:
        await stream.wait_stopped()
        assert stream.status == 200
        assert stream.events == []


# How a token comes ---


def _cookie(name: str, value: str, **more: str) -> dict[str, str]:
    return {"Cookie": f"x=y; {name}={value}", **more}


@pytest.mark.parametrize("name", ["mercureAuthorization", "__Secure-mercure_access_token"])
async def test_a_cookie_does_on_pages_of_allowed_origins(hub: HubClient, name: str) -> None:
    read = _cookie(name, classic(SUBSCRIBER_KEY))
    write = _cookie(name, classic(PUBLISHER_KEY, publish=["*"]))
    query = f"{PATH}?topic=a"

    async def head(**more: str) -> int:
        return (await request(hub.base, query, method="HEAD", headers={**read, **more})).status

    assert await head() == 200
    assert await head(Origin=hub.base) == 200
    assert await head(Origin=OURS) == 200
    assert await head(Referer=f"{OURS}/page?x") == 200
    assert await head(Origin="https://evil.example") == 403
    assert await head(Referer="https://evil.example/x") == 403
    assert await head(**{"Sec-Fetch-Site": "cross-site"}) == 403
    for more, status in (
        ({"Origin": OURS}, 200),
        ({"Origin": hub.base}, 200),
        ({"Referer": f"{OURS}/x"}, 200),
        ({}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Referer": "https://evil.example"}, 403),
    ):
        assert (await hub.post(fields(topic="a"), "", headers={**write, **more})).status == status, more


async def test_the_header_counts_before_the_cookie(hub: HubClient) -> None:
    cookie = _cookie("mercureAuthorization", "bad.bad.bad")
    assert (await hub.post(fields(topic="a"), headers=cookie)).status == 200
    good = _cookie("mercureAuthorization", classic(PUBLISHER_KEY, publish=["*"]), Origin=OURS)
    assert (await hub.post(fields(topic="a"), "bad.bad.bad", headers=good)).status == 401


async def test_a_foreign_page_may_read_what_it_needs(hub: HubClient) -> None:
    update = await hub.publish("a", "x")
    path = f"{PATH}?{urlencode({'topic': 'a', 'last_event_id': update})}"
    headers = _cookie("mercureAuthorization", classic(SUBSCRIBER_KEY), Origin=OURS)
    answer = await request(hub.base, path, method="HEAD", headers=headers)
    assert answer.headers["access-control-allow-origin"] == OURS
    assert answer.headers["access-control-allow-credentials"] == "true"
    exposed = answer.headers["access-control-expose-headers"]
    assert "Last-Event-ID" in exposed
    assert "Mercure-Last-Event-ID" in exposed


async def test_a_token_in_the_address_counts_where_that_is_switched_on(plain: HubClient, hub: HubClient) -> None:
    old, new = classic(publish=["*"]), modern(detail(["publish"], "*"))
    for sent, status in ((old, 200), (new, 401), ("bad.bad.bad", 401)):
        answer = await plain.post(fields(topic="a"), "", path=f"{PATH}?authorization={sent}")
        assert answer.status == status
    own = classic(PUBLISHER_KEY, publish=["*"])
    assert (await hub.post(fields(topic="a"), "", path=f"{PATH}?authorization={own}")).status == 401


# The node's own key ---


async def test_with_the_nodes_key_its_rules_hold(plain: HubClient) -> None:
    rights: dict[str, Any] = {"mercure": {"publish": ["*"]}}
    for sent, status in (
        (token(**rights), 200),
        (token(None, **rights), 401),
        (token(ttl_s=None, **rights), 401),
        (token(scope="publish admin"), 403),
        (modern(detail(["publish"], "*")), 401),  # no issuer is configured
    ):
        assert (await plain.post(fields(topic="a"), sent)).status == status


async def test_neither_sides_tokens_open_the_other(hub: HubClient) -> None:
    native = await request(
        hub.base, "/v1/events?channel=broadcast", headers={"Authorization": f"Bearer {token()}"}, method="HEAD"
    )
    assert native.status == 200
    for key in (PUBLISHER_KEY, SUBSCRIBER_KEY):
        sent = token(key=key, scope="admin", mercure={"publish": ["*"], "subscribe": ["*"]})
        answer = await request(hub.base, "/v1/stats", headers={"Authorization": f"Bearer {sent}"})
        assert answer.status == 401
    assert (await hub.post(fields(topic="a"), token(scope="admin", mercure={"publish": ["*"]}))).status == 401


async def test_the_audience_is_the_hubs_address_where_none_is_set(broker: Broker) -> None:
    with Node(broker.url, f"m{secrets.token_hex(5)}", MERCURE="true", JWT_ISSUER=ISSUER) as node:
        hub = HubClient(node.base)
        url = f"{node.base}{PATH}"
        good, bad = (modern(detail(["publish"], "*"), key=SECRET, aud=aud) for aud in (url, AUDIENCE))
        assert (await hub.post(fields(topic="a"), good)).status == 200
        assert (await hub.post(fields(topic="a"), bad)).status == 401
        said = json.loads((await hub.get(METADATA)).body)
        assert said["resource"] == url
        assert said["authorization_servers"] == [ISSUER]


async def test_a_revoked_subject_is_refused_and_its_streams_end(plain: HubClient) -> None:
    name = f"u-{secrets.token_hex(4)}"
    old = classic(sub=name, subscribe=["*"])
    async with plain.stream({"topic": "a"}, old) as stream:
        await stream.opened()
        admin = {"Authorization": f"Bearer {token('ops', scope='admin')}"}
        answer = await request(plain.base, f"/v1/clients/{name}?revoke=true", method="DELETE", headers=admin)
        assert answer.status == 200
        await stream.wait_stopped()
        assert stream.events == []
    assert (await plain.get(f"{PATH}?topic=a", old)).status == 401


async def test_the_hub_says_about_itself_what_clients_of_1_0_want_to_know(hub: HubClient) -> None:
    said = json.loads((await hub.get(METADATA)).body)
    assert said["resource"] == AUDIENCE
    assert said["bearer_methods_supported"] == ["header"]
    assert said["mercure_cookie"] == "__Secure-mercure_access_token"
    assert said["mercure_subscriptions"] is True
    assert said["mercure_matcher_types_supported"] == ["exact", "urlpattern"]
    assert "mercure" in said["authorization_details_types_supported"]

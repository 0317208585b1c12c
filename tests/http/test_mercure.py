"""The Mercure hub of one node: what is published by a form reaches those who selected it, in one order for all."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from tests.support.http1 import request
from tests.support.mercure import PATH, HubClient, classic, fields, heard
from tests.support.node import Node


@pytest.fixture(scope="module")
def hub_settings() -> dict[str, Any]:
    return {"MAX_EVENT_BYTES": 20_000, "MERCURE_HISTORY": 300, "MERCURE_ANONYMOUS": "true"}


# Publishing ---


async def test_a_publication_is_answered_with_its_id(hub: HubClient, topic: str) -> None:
    answer = await hub.post(fields(topic=topic, data="x"))
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.body.startswith(b"urn:uuid:")
    assert await hub.publish(topic, "x", id="urn:my:ïd") == "urn:my:ïd"


@pytest.mark.parametrize(
    "data", ["", "one", "two\nlines\n", "a\r\nb\rc", " blanks ", "ünïcode \U0001f600", "data: x\n\nid: forged"]
)
async def test_data_arrives_as_it_was_sent(hub: HubClient, topic: str, data: str) -> None:
    """Line breaks of all kinds become those of the format."""
    async with hub.stream({"topic": topic}) as stream:
        await stream.opened()
        update = await hub.publish(topic, data)
        event = await stream.next_event()
    assert event == ("message", data.replace("\r\n", "\n").replace("\r", "\n"), update)


async def test_type_retry_and_id_go_along(hub: HubClient, topic: str) -> None:
    async with hub.stream({"topic": topic}) as stream:
        await stream.opened()
        await hub.publish(topic, "x", type="say hello", retry="4321", id="my-id")
        assert await stream.next_event() == ("say hello", "x", "my-id")
        assert stream.retry_ms == 4321


BAD = {
    "no topic": fields(data="x"),
    "an empty topic": fields(topic=""),
    "everything": fields(topic="*"),
    "the hub": fields(topic=PATH),
    "below the hub": fields(topic=f"{PATH}/subscriptions/x/y"),
    "the hub elsewhere": fields(topic=f"https://other.example:8080{PATH}/x?y#z"),
    "the hub with an encoded letter": fields(topic="/.well-known/%6Dercure/x"),
    "the hub by a detour": fields(topic=f"/a/..{PATH}/../mercure/x"),
    "a control character in the topic": fields(topic="a\x01b"),
    "NUL in the topic": fields(topic="a\x00b"),
    "C1 in the topic": fields(topic="a\x85b"),
    "a format character in the topic": fields(topic="a\u200bb"),
    "LF in the id": fields(topic="a", id="x\ndata: y"),
    "CR in the id": fields(topic="a", id="x\ry"),
    "NUL in the id": fields(topic="a", id="x\x00y"),
    "a format character in the id": fields(topic="a", id="x\u202ey"),
    "a fragment as the id": fields(topic="a", id="#1"),
    "the reserved id": fields(topic="a", id="earliest"),
    "LF in the type": fields(topic="a", type="x\ny"),
    "DEL in the type": fields(topic="a", type="x\x7fy"),
    "the hub's type": fields(topic="a", type="mercure"),
    "a retry that is none": fields(topic="a", retry="1.5"),
    "a negative retry": fields(topic="a", retry="-1"),
    "other digits": fields(topic="a", retry="\u0661"),
    "bytes that are no UTF-8": b"topic=a&data=%ff",
    "raw bytes that are no UTF-8": b"topic=a&data=\xff",
    "an empty body": b"",
    "a bad alternate": fields(("topic", "fine"), ("topic", "not\x1bfine")),
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD.keys())
async def test_a_bad_publication_is_refused(hub: HubClient, body: bytes) -> None:
    answer = await hub.post(body)
    assert answer.status == 400, answer.body


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data; boundary=x", ""])
async def test_a_body_that_is_no_form_is_refused(hub: HubClient, topic: str, kind: str) -> None:
    answer = await hub.post(fields(topic=topic), headers={"Content-Type": kind})
    assert answer.status == 400


async def test_what_is_too_large_is_refused(hub: HubClient, topic: str) -> None:
    assert (await hub.post(fields(topic=topic, data="x" * 20_000))).status == 200
    for body in (
        fields(topic=topic, data="x" * 20_001),
        fields(topic="x" * 4097),
        fields(topic=topic, id="x" * 256),
        fields(topic=topic, type="x" * 1025),
        fields(*[("topic", f"t{number}") for number in range(1001)]),
        fields(*[(f"f{number}", "") for number in range(2000)]),
        fields(topic=topic, data="x" * 1_100_000),
    ):
        assert (await hub.post(body)).status == 413, body[:100]


async def test_what_is_just_not_too_large_is_taken(hub: HubClient) -> None:
    longest = secrets.token_hex(2048)
    async with hub.stream([("topic", longest), ("topic", f"t999-{longest[:9]}")]) as stream:
        await stream.opened()
        await hub.publish(longest, "one", id="x" * 255, type="x" * 1024)
        assert await stream.next_event() == ("x" * 1024, "one", "x" * 255)
        topics = [("topic", f"t{number}-{longest[:9]}") for number in range(1000)]
        assert (await hub.post(fields(*topics, ("data", "two")))).status == 200
        assert (await stream.next_event()).data == "two"


async def test_unknown_fields_are_ignored_and_empty_ones_are_absent(hub: HubClient, topic: str) -> None:
    async with hub.stream({"topic": topic}) as stream:
        await stream.opened()
        body = fields(topic=topic, data="x", id="", type="", retry="", target="nobody", more="")
        update = (await hub.post(body)).body.decode()
        assert await stream.next_event() == ("message", "x", update)


async def test_other_methods_are_told_what_there_is(hub: HubClient) -> None:
    answer = await request(hub.base, PATH, method="PUT")
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"


# Selecting ---


SELECTED = {
    "a raw text": ({"topic": "{}"}, "{}", True),
    "several": ([("topic", "foo"), ("topic", "{}")], "{}", True),
    "a URI template": ({"topic": "https://example.net/{}/{{id}}"}, "https://example.net/{}/1", True),
    "everything": ({"topic": "*"}, "https://example.net/{}", True),
    "everything in 1.0": ({"match": "*"}, "https://example.net/{}", True),
    "everything by pattern": ({"match_urlpattern": "*"}, "{}", True),
    "an exact match": ({"match": "https://example.net/{}"}, "https://example.net/{}", True),
    "an explicit match": ({"match_exact": "{}"}, "{}", True),
    "a URL pattern": ({"match_urlpattern": "https://example.net/{}/:id"}, "https://example.net/{}/1", True),
    "a relative URL pattern": ({"match_urlpattern": "/{}/:id"}, "/{}/1", True),
    "a relative topic by its address": ({"match_urlpattern": "http://127.0.0.1:*/{}/:id"}, "/{}/1", True),
    "both versions": ([("topic", "other"), ("match", "{}")], "{}", True),
    "a faulty template": (
        {"topic": "https://example.com/hub?topic=faulty{{{}"},
        "https://example.com/hub?topic=faulty{{{}",
        True,
    ),
    "another text": ({"topic": "{}x"}, "{}", False),
    "another template": ({"topic": "https://example.net/{}/{{id}}"}, "https://example.net/{}/1/2", False),
    "a template where 1.0 wants the text": ({"match": "{}{{id}}"}, "{}1", False),
    "another URL pattern": ({"match_urlpattern": "https://example.net/x/:id"}, "https://example.net/{}/1", False),
    "a URL pattern and no URL": ({"match_urlpattern": "https://example.net/:id"}, "http://[{}", False),
    "another case": ({"match": "{}A"}, "{}a", False),
}


@pytest.mark.parametrize(("query", "published", "comes"), SELECTED.values(), ids=SELECTED.keys())
async def test_selectors_choose_topics(hub: HubClient, query: object, published: str, comes: bool) -> None:
    name = secrets.token_hex(6)
    pairs = query.items() if isinstance(query, dict) else query
    filled = [(field, value.format(name)) for field, value in pairs]  # type: ignore[attr-defined]
    async with hub.stream([*filled, ("topic", f"end-{name}")]) as stream:
        await stream.opened()
        update = await hub.publish(published.format(name), "the data")
        await hub.publish(f"end-{name}", "end")
        events = await stream.collect_until(lambda event: event.data == "end")
    assert events[:-1] == ([("message", "the data", update)] if comes else [])


async def test_an_update_that_is_selected_often_comes_once(hub: HubClient, topic: str) -> None:
    query = [("topic", topic), ("topic", topic), ("match", topic), ("topic", "{+all}"), ("match_urlpattern", topic)]
    async with hub.stream(query) as stream:
        await stream.opened()
        await hub.publish(topic, "one", ("topic", f"{topic}/alternate"), ("topic", "more"))
        await hub.publish(topic, "two")
        assert await heard(stream, "two") == ["one", "two"]


async def test_an_alternate_topic_selects_too(hub: HubClient, topic: str) -> None:
    async with hub.stream({"topic": f"{topic}/{{lang}}"}) as stream:
        await stream.opened()
        await hub.publish(topic, "one", ("topic", f"{topic}/en"))
        assert (await stream.next_event()).data == "one"


BAD_QUERIES = {
    "nothing": "",
    "an empty selector": "topic=",
    "a control character": "topic=a%01",
    "NUL": "match=a%00",
    "CR and LF": "topic=a%0d%0ab",
    "a format character": f"match={quote(chr(0x200B))}",
    "no UTF-8": "topic=%ff",
    "a selector that is not there": "match_regexp=a",
    "another case": "matchURLPattern=a",
    "the whole prefix": "MATCHES=a",
    "no URL pattern": f"match_urlpattern={quote('https://example.com/(')}",
    "too many": "&".join(f"topic={number}" for number in range(101)),
    "one that is too long": f"topic={'x' * 4097}",
    "too many fields": "topic=a&" + "&".join(f"f{number}" for number in range(220)),
    "templates with many expressions": "&".join(f"topic={'{/a*}b' * 64}{number}" for number in range(4)) + "&topic={c}",
    "a template with many variables": f"topic={{/{'a,' * 256}a}}",
    "a pattern that counts": f"match_urlpattern={quote('https://example.com/(a{1000})')}",
    "a pattern with much in it": f"match_urlpattern={quote('https://example.com/(' + 'a|' * 200 + 'b)')}",
    "a pattern with many classes": f"match_urlpattern={quote('https://example.com/(' + chr(92) + 'w{60})')}",
    "a pattern with many names": f"match_urlpattern={quote('https://e.com' + '/:n' * 70)}",
    "a pattern with many wildcards": f"match_urlpattern={quote('https://e.com/' + '*a' * 9)}",
}


@pytest.mark.parametrize("query", BAD_QUERIES.values(), ids=BAD_QUERIES.keys())
async def test_a_bad_subscription_is_refused(hub: HubClient, query: str) -> None:
    answer = await hub.get(f"{PATH}?{query}", classic())
    assert answer.status == 400, answer.body


async def test_a_hundred_selectors_are_taken(hub: HubClient, topic: str) -> None:
    query = [("topic", f"{number}") for number in range(99)] + [("topic", topic)]
    async with hub.stream(query) as stream:
        await stream.opened()
        await hub.publish(topic, "x")
        assert (await stream.next_event()).data == "x"


async def test_hostile_patterns_hold_nobody_up(hub: HubClient, topic: str) -> None:
    """What makes a backtracking engine think for minutes is decided at once, for every update."""
    hostile = [
        ("topic", "{a}" * 100 + "!"),
        ("topic", "{a}a" * 100 + "!"),
        ("topic", "{/a*}b" * 50 + "{c}"),
        ("match_urlpattern", "https://example.com/((?:a+)+)+!"),
        ("match_urlpattern", "https://example.com/" + "*a" * 8 + "!"),
        ("match_urlpattern", r"https://example.com/(\w*\w*\w*\w*\w*)!"),
    ]
    async with hub.stream([*hostile, ("topic", topic)]) as stream:
        await stream.opened()
        for _ in range(5):
            await hub.publish("a" * 4000, "not this")
            await hub.publish("https://example.com/" + "a" * 4000, "nor this")
        await hub.publish(topic, "this")
        assert await heard(stream, "this") == ["this"]


# Going on ---


async def test_a_client_that_comes_back_gets_what_it_missed_also_on_other_topics(hub: HubClient, topic: str) -> None:
    first = await hub.publish(topic, "one")
    await hub.publish("somewhere else", "not this")
    await hub.publish(f"{topic}/other", "two")
    await hub.publish(topic, "three")
    query = [("topic", topic), ("topic", f"{topic}/other")]
    async with hub.stream(query, last_event_id=first) as stream:
        assert await heard(stream, "three") == ["two", "three"]
        assert stream.response_headers["mercure-last-event-id"] == first
        assert stream.response_headers["last-event-id"] == first


@pytest.mark.parametrize("name", ["last_event_id", "lastEventID", "Last-Event-ID", "lastEventId"])
async def test_the_id_may_stand_in_the_query(hub: HubClient, topic: str, name: str) -> None:
    first = await hub.publish(topic, "one", id=f"ünd {secrets.token_hex(4)}")
    await hub.publish(topic, "two")
    async with hub.stream([("topic", topic), (name, first)]) as stream:
        assert (await stream.next_event()).data == "two"
        assert stream.response_headers["mercure-last-event-id"].encode("latin-1").decode() == first


async def test_the_header_counts_more_than_the_query(hub: HubClient, topic: str) -> None:
    ids = [await hub.publish(topic, data) for data in ("one", "two", "three")]
    async with hub.stream([("topic", topic), ("last_event_id", ids[0])], last_event_id=ids[1]) as stream:
        assert (await stream.next_event()).data == "three"


@pytest.mark.parametrize("asked", ["earliest", "urn:uuid:unknown", "garbage\u00fc"])
async def test_an_unknown_place_brings_all_that_is_kept(hub: HubClient, topic: str, asked: str) -> None:
    await hub.publish(topic, "one")
    await hub.publish(topic, "two")
    async with hub.stream([("topic", topic), ("last_event_id", asked)]) as stream:
        assert await heard(stream, "two") == ["one", "two"]
        assert stream.response_headers["mercure-last-event-id"] == "earliest"


async def test_an_empty_place_is_now(hub: HubClient, topic: str) -> None:
    await hub.publish(topic, "before")
    async with hub.stream([("topic", topic), ("last_event_id", "")]) as stream:
        await stream.opened()
        await hub.publish(topic, "now")
        assert await heard(stream, "now") == ["now"]
        assert stream.response_headers["mercure-last-event-id"] == "earliest"


async def test_who_brings_no_id_is_told_none_and_gets_nothing_old(hub: HubClient, topic: str) -> None:
    await hub.publish(topic, "before")
    async with hub.stream({"topic": topic}) as stream:
        await stream.opened()
        await hub.publish(topic, "now")
        assert await heard(stream, "now") == ["now"]
        assert "mercure-last-event-id" not in stream.response_headers
        assert "last-event-id" not in stream.response_headers


async def test_an_id_that_is_used_twice_is_delivered_twice_and_leads_to_the_first(hub: HubClient, topic: str) -> None:
    twice = f"twice-{secrets.token_hex(4)}"
    async with hub.stream({"topic": topic}) as stream:
        await stream.opened()
        for data in ("one", "two", "three"):
            await hub.publish(topic, data, id=twice)
        assert await heard(stream, "three") == ["one", "two", "three"]
    async with hub.stream({"topic": topic}, last_event_id=twice) as stream:
        assert await heard(stream, "three") == ["two", "three"]


async def test_the_history_is_bounded_and_ids_go_with_it(hub: HubClient, topic: str) -> None:
    """The oldest id leads nowhere any more, and everything that is kept comes in its place."""
    first = await hub.publish(topic, "0")
    for number in range(1, 301):
        await hub.publish(topic, str(number))
    async with hub.stream({"topic": topic}, last_event_id=first) as stream:
        events = await heard(stream, "300")
        assert stream.response_headers["mercure-last-event-id"] == "earliest"
    assert events == [str(number) for number in range(1, 301)]


async def test_a_stream_says_nothing_but_updates_and_comments(hub: HubClient, topic: str) -> None:
    async with hub.stream({"topic": topic}) as stream:
        await stream.opened()
        await hub.publish(topic, "x")
        await stream.next_event()
        assert [event.type for event in stream.events] == ["message"]
        assert stream.comments
        assert stream.response_headers["content-type"] == "text/event-stream; charset=utf-8"
        assert stream.response_headers["link"] == f'<{hub.base}{PATH}>; rel="mercure"'


async def test_the_landing_page_names_the_hub(hub: HubClient) -> None:
    assert (await hub.get("/")).headers["link"] == f'<{PATH}>; rel="mercure"'


async def test_head_asks_for_the_head(hub: HubClient, topic: str) -> None:
    answer = await request(hub.base, f"{PATH}?{urlencode({'topic': topic})}", method="HEAD")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["link"] == f'<{hub.base}{PATH}>; rel="mercure"'


async def test_streams_count_in_the_metrics_as_mercure(hub: HubClient, topic: str) -> None:
    async with hub.stream({"topic": topic}) as stream:
        await stream.opened()
        await hub.publish(topic, "x")
        await stream.next_event()
        figures = (await hub.get("/metrics")).body.decode()
    assert 'sse_gateway_connections{dialect="mercure"} ' in figures
    assert 'sse_gateway_events_delivered_total{dialect="mercure"} ' in figures


async def test_a_node_without_a_hub_has_nothing_there(node: Node) -> None:
    hub = HubClient(node.base)
    for path in (
        f"{PATH}?topic=a",
        f"{PATH}/subscriptions",
        "/.well-known/oauth-protected-resource/.well-known/mercure",
    ):
        assert (await hub.get(path, classic())).status == 404
    assert (await hub.post(fields(topic="a"))).status == 404

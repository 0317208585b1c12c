"""The pure parts of the Mercure hub, where a stream would be too long a way."""

from __future__ import annotations

import gc
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.auth.errors import AuthError
from gateway.exceptions import HTTPError, Refused
from gateway.mercure import hub_history, hub_update, url_pattern
from gateway.mercure.audience import HubAudience
from gateway.mercure.book import USUAL
from gateway.mercure.encoder import MercureEncoder
from gateway.mercure.form import HubAddress, is_reserved, read_form
from gateway.mercure.hub_update import HubUpdate, ReadUpdate
from gateway.mercure.query import read_query
from gateway.mercure.rights import classic_rights, modern_rights
from gateway.mercure.selector import Selection, SelectorKind, TopicGrants, TopicSelector
from gateway.mercure.url_pattern import PatternBudget, PatternError
from gateway.settings.settings import Settings, SettingsError
from publisher.envelope import Event
from tests.support.sse_parser import SseParser
from tests.support.tokens import key_pair

BASE = "https://hub.example/.well-known/mercure"
KEY = "0123456789" * 4
RUBBISH = [
    b"",
    b"[]",
    b"{}",
    b"\xff",
    b'{"topics":[]}',
    b'{"topics":[1],"data":""}',
    b'{"topics":["a"]}',
    b'{"topics":["a"],"data":1}',
    b'{"topics":["a"],"data":"","type":"x\\ny"}',
    b'{"topics":["a"],"data":"","retry":"1"}',
    b'x,"json":1}',
    b'{"topics":["a"],"json":',
]


def event(data: bytes, id: str | None = "an-id") -> Event:
    return Event("mercure", "abcdefgh", 1, "marked", "-", 0, "mercure", data, id)


def texts(*given: str, kind: SelectorKind = SelectorKind.TOPIC) -> frozenset[TopicSelector]:
    return frozenset(TopicSelector(kind, text) for text in given)


def test_an_update_survives_its_way() -> None:
    update = HubUpdate("ïd", ("a", "ü"), "x\u2028\ny".encode(), True, "t", 5)
    found = hub_update.read(event(update.packed(), "ïd"))
    assert found == ReadUpdate(update.topics, True, update.block())
    assert b"\n" not in update.packed()


@pytest.mark.parametrize("data", RUBBISH)
def test_what_nobody_can_have_published_is_no_update(data: bytes) -> None:
    assert hub_update.read(event(data)) is None
    assert hub_update.read(event(HubUpdate("x", ("a",)).packed(), None)) is None


@pytest.mark.parametrize("guarded", [False, True])
@pytest.mark.parametrize("covered", [False, True])
def test_native_topics_are_for_those_who_may_read_them_unless_a_side_is_open(guarded: bool, covered: bool) -> None:
    rights = TopicGrants(tuple(texts("prices"))) if covered else TopicGrants()
    encoder = MercureEncoder(Selection(texts("*"), rights), guarded=guarded)
    native = event(b'{"topics":["prices"],"type":"tick","json":{"p":1}}')
    assert (encoder.event(native) is not None) is (covered or not guarded)
    assert encoder.event(event(HubUpdate("x", ("prices",)).packed())) is not None


def test_an_audience_finds_by_topic_whom_an_update_may_be_for() -> None:
    audience = HubAudience(guarded=True)
    exact, other = (audience.encoder(Selection(texts(text), TopicGrants())) for text in ("a", "b"))
    looking = audience.encoder(Selection(texts("{x}"), TopicGrants()))
    members = {encoder: {object()} for encoder in (exact, other, looking)}
    asked = audience.of([event(HubUpdate("1", ("x", "a")).packed())], members)  # type: ignore[arg-type]
    assert set(asked) == {exact, looking}
    assert audience.encoder(Selection(texts("a"), TopicGrants())) is exact


def test_an_audience_forgets_selections_that_nobody_has() -> None:
    audience = HubAudience(guarded=True)
    encoder = audience.encoder(Selection(texts("a", "b"), TopicGrants()))
    assert audience.texts == 2
    del encoder
    gc.collect()
    assert audience.texts == 0


@pytest.mark.parametrize(
    "pattern",
    [
        "https://e.com/:id",
        "/books/:id",
        "https://*.e.com/*",
        r"/:day(\d{4}-\d{2}-\d{2})",
        "/{a}?",
        "*",
        "/(a|b)",
        "?q=*",
    ],
)
def test_usual_patterns_are_taken(pattern: str) -> None:
    url_pattern.compiled(pattern, BASE)


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        "/(",
        "/:",
        "https://[",
        r"/(\w{60})",
        r"/(\p{L})",
        "/(a{99})",
        "/*" * 9,
        "/:n" * 65,
        "/(" + "a" * 300 + ")",
        "/(a",
    ],
)
def test_what_is_no_pattern_or_costs_much_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        url_pattern.compiled(pattern, BASE)


def test_a_user_has_so_many_new_patterns_a_second() -> None:
    budget = PatternBudget(per_s=3)
    known = [("/known/:id", BASE)]
    url_pattern.compiled(*known[0])
    for number in range(3):
        budget.check(1.0, "user")
        budget.compile([(f"/new/{number}/:id", BASE)], "user")
    budget.compile(known * 10, "user")
    with pytest.raises(Refused):
        budget.check(1.5, "user")
    budget.check(1.5, "another")
    budget.check(2.0, "user")


@pytest.mark.parametrize(
    ("topic", "reserved"),
    [
        ("/.well-known/mercure", True),
        ("/sse/.well-known/mercure", True),
        ("/sse/.well-known/mercure/subscriptions", True),
        ("https://other.example/.well-known/mercure/x", True),
        ("/.well-known/mercure%2Fx", False),
        ("/.well-known/mercuric", False),
        ("/a/.well-known/mercure", False),
        ("mercure", True),
        ("http://[", False),
    ],
)
def test_topics_at_the_hubs_paths_are_its_own(topic: str, reserved: bool) -> None:
    assert is_reserved(topic, HubAddress("https://hub.example", "/sse")) is reserved


@pytest.mark.parametrize(
    ("selector", "watches"),
    [
        (TopicSelector(SelectorKind.TOPIC, "*"), True),
        (TopicSelector(SelectorKind.TOPIC, "https://example.com/{id}"), False),
        (TopicSelector(SelectorKind.TOPIC, "{+any}"), True),
        (TopicSelector(SelectorKind.TOPIC, "/.well-known/mercure/subscriptions{/topic}"), True),
        (TopicSelector(SelectorKind.EXACT, "/.well-known/mercure/subscriptions/exact/a/b"), True),
        (TopicSelector(SelectorKind.EXACT, "a"), False),
        (TopicSelector(SelectorKind.URL_PATTERN, "https://example.com/books/:id", BASE), False),
        (TopicSelector(SelectorKind.URL_PATTERN, "https://hub.example/*", BASE), True),
        (TopicSelector(SelectorKind.URL_PATTERN, "/.well-known/mercure/subscriptions/*", BASE), True),
    ],
)
def test_who_could_hear_of_subscriptions_is_known_by_its_selectors(selector: TopicSelector, watches: bool) -> None:
    assert selector.may_watch("") is watches


@pytest.mark.parametrize(
    ("topic", "channel"),
    [
        ("prices", "topic:prices"),
        ("https://e.com/1", "topic:https://e.com/1"),
        ("a b", None),
        ("a,b", None),
        ("{a}", None),
        ("presence", None),
        ("..", None),
        ("x" * 201, None),
    ],
)
def test_topics_with_a_legal_name_are_native_ones(topic: str, channel: str | None) -> None:
    assert hub_history.native_channel(topic) == channel


@pytest.mark.parametrize("role", ["publisher", "subscriber"])
def test_keys_and_algorithms_have_to_fit(role: str) -> None:
    public = key_pair("ES256").public

    def settings(key: str, algorithm: str) -> Settings:
        made = Settings(jwt_key=KEY, **{f"mercure_{role}_jwt_key": key, f"mercure_{role}_jwt_alg": algorithm})  # type: ignore[arg-type]
        made.check_secret()
        return made

    settings(KEY, "HS256")
    settings(public, "ES256")
    for key, algorithm in ((public, "HS256"), (KEY, "ES256"), (public, "RS256"), ("short", "HS256")):
        with pytest.raises(SettingsError, match=f"GATEWAY_MERCURE_{role.upper()}_JWT_"):
            settings(key, algorithm)


def test_keys_of_the_hub_alone_are_enough_to_serve() -> None:
    Settings(mercure=True, mercure_publisher_jwt_key=KEY, mercure_subscriber_jwt_key=KEY[::-1]).check_serving()
    with pytest.raises(SettingsError):
        Settings(mercure=True, mercure_publisher_jwt_key=KEY).check_serving()


def test_a_killed_nodes_subscriptions_end_within_what_is_promised() -> None:
    """The lease has just been renewed when it dies, and the others have just looked."""
    assert USUAL.lease_s + USUAL.renew_s <= 15


ANYTHING = st.binary(max_size=60) | st.text(max_size=40).map(lambda text: quote(text).encode())
FIELDS = st.sampled_from(["topic", "data", "id", "type", "retry", "private", "x"])
FORMS = st.lists(st.tuples(FIELDS, ANYTHING), max_size=6)
NAMES = st.sampled_from(["topic", "match", "match_urlpattern", "Match", "lastEventID", "x"])
QUERIES = st.lists(st.tuples(NAMES, ANYTHING), max_size=6)
WORDS = st.sampled_from(["type", "actions", "topics", "match", "match_type", "payload", "publish", "subscribe"])
CLAIMS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("mercure"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


def joined(pairs: list[tuple[str, bytes]]) -> bytes:
    return b"&".join(name.encode() + b"=" + value for name, value in pairs)


@given(FORMS.map(joined) | st.binary(max_size=80))
def test_any_body_is_an_update_or_refused(body: bytes) -> None:
    """What is taken cannot get out of its lines, and survives the history."""
    try:
        update = read_form(body, HubAddress("https://hub.example", ""), 1000)
    except HTTPError:
        return
    assert hub_update.read(event(update.packed(), update.id)) == ReadUpdate(
        update.topics, update.private, update.block()
    )
    parser = SseParser()
    parsed = parser.feed(update.block())
    text = update.data.decode().replace("\r\n", "\n").replace("\r", "\n")
    assert parsed == [(update.type or "message", text, update.id)]


@given(QUERIES.map(joined) | st.binary(max_size=80), st.text(max_size=30))
def test_any_query_is_a_subscription_or_refused(query: bytes, topic: str) -> None:
    try:
        asked = read_query(query, BASE)
        for selector in asked.selectors:
            selector.matches(topic)
    except (HTTPError, PatternError):
        return
    assert asked.selectors


@given(CLAIMS)
def test_any_claim_is_rights_or_refused(value: object) -> None:
    for claims in ({"mercure": value}, {"authorization_details": value}):
        for rights in (classic_rights, lambda given: modern_rights(given, BASE)):
            try:
                rights(claims).subscribe.any_of(["a"])
            except AuthError:
                continue

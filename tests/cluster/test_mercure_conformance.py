"""What the public conformance tests of the reference hub assert in both versions, on two nodes behind nginx."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.broker import Broker
from tests.support.mercure import ISSUER, PATH, HubClient, bare, detail, fields, modern
from tests.support.nginx import Nginx
from tests.support.node import Node
from tests.support.tokens import SECRET

AUDIENCE = f"https://localhost{PATH}"
EVERYTHING = "https://mercure.rocks/authorization-detail"
"""The type of a detail, as that hub and its tests name it."""


class Assertion(NamedTuple):
    """``{}`` is a text that no other case has. A topic that is published goes with ``private`` to nobody."""

    topics: Sequence[str]
    selectors: Sequence[str]
    received: bool = True
    private: bool = False


CLASSIC = {
    "raw string": Assertion(["{}"], ["{}"]),
    "multiple topics": Assertion(["another-{}", "{}"], ["{}"]),
    "multiple topic selectors": Assertion(["{}"], ["foo", "{}"]),
    "URI": Assertion(["https://example.net/foo/{}"], ["https://example.net/foo/{}"]),
    "URI template": Assertion(["https://example.net/foo/{}"], ["https://example.net/foo/{{random}}"]),
    "nonmatching raw string": Assertion(["will-not-match-{}}}"], ["another-name"], received=False),
    "nonmatching URI": Assertion(
        ["https://example.net/foo/will-not-match-{}}}"], ["https://example.net/foo/another-name"], received=False
    ),
    "nonmatching URI template": Assertion(
        ["https://example.net/foo/will-not-match-{}}}"], ["https://example.net/bar/{{var}}"], received=False
    ),
    "private raw string": Assertion(["{}"], ["{}"], received=False, private=True),
    "private URI": Assertion(["https://example.net/{}"], ["https://example.net/{}"], received=False, private=True),
    "private URI template": Assertion(
        ["https://example.net/foo/{}"], ["https://example.net/foo/{{random}}"], received=False, private=True
    ),
}
MODERN = {
    **{
        name: CLASSIC[name]
        for name in ("raw string", "multiple topic selectors", "URI", "private raw string", "private URI")
    },
    "URL pattern": Assertion(["https://example.net/foo/{}"], ["https://example.net/foo/:random"]),
    "nonmatching raw string": Assertion(["will-not-match-{}"], ["another-name"], received=False),
    "nonmatching URI": Assertion(
        ["https://example.net/foo/will-not-match-{}"], ["https://example.net/foo/another-name"], received=False
    ),
    "nonmatching URL pattern": Assertion(
        ["https://example.net/foo/will-not-match-{}"], ["https://example.net/bar/:var"], received=False
    ),
    "private URL pattern": Assertion(
        ["https://example.net/foo/{}"], ["https://example.net/foo/:random"], received=False, private=True
    ),
}


def classic_publisher() -> str:
    """Nothing but the claim, as in the tests of 0.x."""
    return bare({"mercure": {"publish": ["*"], "subscribe": ["*"]}}, SECRET)


def modern_publisher() -> str:
    """As in those of 1.0: a detail for each action, and no subject."""
    details = [detail([action], "*", type=EVERYTHING) for action in ("publish", "subscribe")]
    return modern(*details, sub=None, iss=ISSUER, aud=AUDIENCE, exp=4_102_444_800)


@pytest.fixture(scope="module")
def hub(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubClient]:
    settings: dict[str, Any] = {
        "MERCURE": "true",
        "MERCURE_ANONYMOUS": "true",
        "MERCURE_PUBLISHER_JWT_KEY": SECRET,
        "MERCURE_SUBSCRIBER_JWT_KEY": SECRET,
        "MERCURE_JWT_ISSUER": ISSUER,
        "MERCURE_JWT_AUDIENCE": AUDIENCE,
    }
    folder: Path = tmp_path_factory.mktemp("conformance")
    prefix = f"m{secrets.token_hex(5)}"
    with (
        Node(broker.url, prefix, **settings) as one,
        Node(broker.url, prefix, **settings) as two,
        Nginx(folder, one.port, two.port) as nginx,
    ):
        yield HubClient(nginx.base)


async def check(hub: HubClient, name: str, case: Assertion, parameters: Sequence[str], bearer: str) -> None:
    """An anonymous EventSource selects; a form brings the update with an id of its own; both sides are looked at."""
    own = secrets.token_hex(20)
    topics = [topic.format(own) for topic in case.topics]
    selectors = [(name, text.format(own)) for name, text in zip(parameters, case.selectors, strict=True)]
    update, data = f"id-{json.dumps(topics)}", f"data for\n\n        {name}"
    private = [("private", "on")] if case.private else []
    async with hub.stream([*selectors, ("match", f"end-{own}")], bearer="") as stream:
        await stream.opened()
        body = fields(*[("topic", topic) for topic in topics], ("id", update), ("data", data), *private)
        answer = await hub.post(body, bearer)
        assert (answer.status, answer.body.decode()) == (200, update)
        assert answer.headers["content-type"].partition(";")[0] == "text/plain"
        await hub.post(fields(topic=f"end-{own}", data="end"), bearer)
        events = await stream.collect_until(lambda event: event.data == "end")
    assert events[:-1] == ([("message", data, update)] if case.received else [])


@pytest.mark.parametrize("name", CLASSIC)
async def test_what_the_tests_of_0_x_assert(hub: HubClient, name: str) -> None:
    case = CLASSIC[name]
    await check(hub, name, case, ["topic"] * len(case.selectors), classic_publisher())


@pytest.mark.parametrize("name", MODERN)
async def test_what_the_tests_of_1_0_assert(hub: HubClient, name: str) -> None:
    """What has a ``:name`` is a URL pattern there, and all else an exact match."""
    case = MODERN[name]
    parameters = ["match_urlpattern" if "/:" in text.partition("//")[2] else "match" for text in case.selectors]
    await check(hub, name, case, parameters, modern_publisher())

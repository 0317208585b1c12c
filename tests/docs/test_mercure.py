"""What the page for those who come from Mercure shows and names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from gateway.mercure import rules, url_pattern
from tests.http.curl import Curl
from tests.support.broker import Broker
from tests.support.http1 import request
from tests.support.mercure import HubClient, classic
from tests.support.node import Node

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/howto/moving-from-mercure.md").read_text("utf-8")


def test_every_line_of_the_draft_names_a_test_that_is_there() -> None:
    named = re.findall(r"`(tests/[a-z_/]+\.py)(?:::(\w+))?` \|$", PAGE, re.MULTILINE)
    assert len(named) > 35
    for path, name in named:
        tree = ast.parse((ROOT / path).read_text("utf-8"))
        assert not name or name in {each.name for each in tree.body if isinstance(each, ast.AsyncFunctionDef)}, name


def test_the_numbers_are_those_of_the_code() -> None:
    text = " ".join(PAGE.split())
    for words in (
        f"{rules.MAX_TOPICS:,} topics, topics over {rules.MAX_TOPIC_BYTES:,} bytes, ids over {rules.MAX_ID_CHARACTERS}",
        f"at most {rules.MAX_SELECTORS}, of {rules.MAX_SELECTOR_BYTES:,} bytes",
        f"may have {rules.MAX_VARIABLES} variables together",
        f"{url_pattern.MAX_GROUPS} names and groups, {url_pattern.MAX_WILDCARDS} wildcards",
        f"topics of more than {url_pattern.MAX_TOPIC_CHARACTERS:,} characters",
    ):
        assert words in text, words


async def test_the_publisher_works_as_it_stands(broker: Broker, prefix: str) -> None:
    found = re.search(r"^curl .*?\n(?=```)", PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None
    with Node(broker.url, prefix, MERCURE="true") as node:
        line = found[0].replace("\\\n", " ").replace("$GATEWAY", node.base)
        curl = Curl(line.replace("$PUBLISHER", classic(publish=["*"])))
        hub = HubClient(node.base)
        async with hub.stream({"topic": "https://example.com/books/{id}"}) as stream:
            await stream.opened()
            path = curl.url.removeprefix(node.base)
            answer = await request(node.base, path, method=curl.method, headers=curl.headers, body=curl.body)
            assert answer.status == 200
            assert (await stream.next_event()).json() == {"title": "A book"}

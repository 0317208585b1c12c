"""The reference of the HTTP API names every route, and its examples work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.http.api import DOCUMENT, Api
from tests.http.curl import Curl
from tests.support.http1 import Exchange, HttpStream
from tests.support.tokens import token

PAGE = (Path(__file__).parents[2] / "docs/reference/http-api.md").read_text()


def _examples() -> Iterator[str]:
    for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE):
        yield from (line for line in block.splitlines() if line.startswith("curl "))


async def test_the_examples_work_in_the_order_of_the_page(api: Api) -> None:
    subject_token = token("ann", scope="publish stats")
    examples = list(_examples())
    assert len(examples) > 10
    for example in examples:
        curl = Curl(example.replace("$GATEWAY", api.base).replace("$TOKEN", subject_token))
        path = curl.url.removeprefix(api.base)
        if curl.endless:
            exchange = Exchange(api.base, curl.headers)
            stream = await HttpStream.open(exchange, path)
            stream.abort()
            assert exchange.status == 200, example
        else:
            answer = await api.call(curl.method, path, body=curl.body, headers=curl.headers)
            assert answer.status in (200, 201), (example, answer.json)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        (method.upper(), path)
        for path, item in DOCUMENT["paths"].items()
        for method in item
        if method != "parameters" and "dialects" not in item[method]["tags"]
    ],
)
def test_the_page_names_every_route(method: str, path: str) -> None:
    short = re.sub(r"\{\w+\}", "{id}", path)
    assert re.search(rf"`{method} {re.escape(short)}[`?]", PAGE)

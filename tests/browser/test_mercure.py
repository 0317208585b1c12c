"""The page that the documentation shows for those who come from Mercure, in a browser, as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlencode

import httpx

from tests.browser.conftest import OpenPage

PAGE = (Path(__file__).parents[2] / "docs/howto/moving-from-mercure.md").read_text("utf-8")
HUB = "/.well-known/mercure"


def publish(dev: str, topic: str, data: str) -> str:
    token = httpx.get(f"{dev}/dev/token", params={"publish": "*"}).json()["token"]
    form = urlencode({"topic": topic, "data": data}).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/x-www-form-urlencoded"}
    answer = httpx.post(f"{dev}{HUB}", content=form, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_eventsource_hears_updates_and_comes_back_for_what_it_missed(dev: str, open_page: OpenPage) -> None:
    found = re.search(r'<script type="module">\n(.*?)</script>', PAGE, re.DOTALL)
    assert found is not None
    page = open_page(dev)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.evaluate(
        "() => { window.EventSource = class extends EventSource {"
        " constructor(url) { super(url); window.source = this; } }; }"
    )
    with page.expect_response(lambda response: HUB in response.url) as begun:
        page.evaluate(f"() => {{ {found[1]} }}")
    assert begun.value.status == 200
    assert begun.value.headers["content-type"] == "text/event-stream; charset=utf-8"
    with page.expect_console_message() as heard:
        first = publish(dev, "https://example.com/books/1", "one\ntwo")
    assert heard.value.text == f"{first} one\ntwo"
    missed = publish(dev, "https://example.com/books/2", "missed")
    with page.expect_console_message(lambda message: message.text.endswith("missed")):
        page.evaluate(
            "([hub, id]) => { source.close(); const again = new URL(hub, location);"
            " again.searchParams.append('topic', 'https://example.com/books/{id}');"
            " again.searchParams.append('lastEventID', id);"
            " new EventSource(again).onmessage = (event) => console.log(event.lastEventId, event.data); }",
            [HUB, first],
        )
    assert said[-1] == f"{missed} missed"

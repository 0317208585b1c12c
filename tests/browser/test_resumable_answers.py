"""The how-to of resumable answers, as it stands: its back end, its nginx, its page, in a real browser."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.support.broker import Broker
from tests.support.nginx import bare_nginx
from tests.support.node import ROOT, Node
from tests.support.ports import HOST, free_port
from tests.support.tokens import SECRET
from tests.support.waiting import wait_until

pytestmark = pytest.mark.xdist_group("browser")
HOWTO = (ROOT / "docs/howto/resumable-ai-answers.md").read_text("utf-8")
JS = ROOT / "tests" / "js"
ANSWER = "You asked: Why? And that is all that I can say. "


def code(language: str) -> str:
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", HOWTO, re.DOTALL)
    return found[0]


@pytest.fixture
def page_script(tmp_path: Path) -> str:
    """The page of the how-to, shown when its messages are there."""
    (tmp_path / "chat.jsx").write_text(code("jsx"))
    (tmp_path / "main.jsx").write_text(
        'import { createRoot } from "react-dom/client";\n'
        'import { Chat } from "./chat.jsx";\n'
        'const id = "howto-chat";\n'
        "fetch(`/api/chat/${id}/messages`).then((answer) => answer.json()).then((initial) =>\n"
        '  createRoot(document.getElementById("root")).render(<Chat id={id} initial={initial} />));\n'
    )
    subprocess.run(
        [
            *(JS / "node_modules/.bin/esbuild", tmp_path / "main.jsx", "--bundle", "--jsx=automatic", "--format=iife"),
            *("--log-level=warning", f"--outfile={tmp_path / 'main.js'}"),
        ],
        env={**os.environ, "NODE_PATH": str(JS / "node_modules")},
        check=True,
        timeout=60,
    )
    return (tmp_path / "main.js").read_text("utf-8")


@pytest.fixture
def nodes(broker: Broker) -> Iterator[list[Node]]:
    with Node(broker.url) as one, Node(broker.url) as two:
        yield [one, two]


@pytest.fixture
def site(nodes: list[Node], broker: Broker, tmp_path: Path) -> Iterator[str]:
    """The address under which nginx has the back end and the nodes."""
    (tmp_path / "backend.py").write_text(code("python"))
    port = free_port()
    back_end = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "backend:app", "--port", str(port), "--log-level", "warning"],
        cwd=tmp_path,
        env={**os.environ, "GATEWAY_JWT_KEY": SECRET, "REDIS_URL": broker.url, "PYTHONPATH": str(ROOT)},
    )
    servers = "".join(f"server {HOST}:{node.port} max_fails=0;" for node in nodes)
    locations = code("nginx").replace("127.0.0.1:3001", f"{HOST}:{port}")
    try:
        with bare_nginx(tmp_path, f"upstream sse_gateway {{ {servers} }}", locations) as base:

            def answers() -> bool:
                return httpx.get(f"{base}/api/chat/none/messages").status_code == 200

            wait_until(answers, "the back end")
            yield base
    finally:
        back_end.terminate()
        back_end.wait()


def test_the_how_to_resumes_over_a_reload_a_second_tab_and_a_killed_node_and_stops(
    site: str, nodes: list[Node], open_page: OpenPage, page_script: str
) -> None:
    def opened() -> Page:
        page = open_page("about:blank")
        body = "<!doctype html><div id=root></div><script src=main.js></script>"
        page.route("**/page", lambda route: route.fulfill(body=body, content_type="text/html"))
        page.route("**/main.js", lambda route: route.fulfill(body=page_script, content_type="text/javascript"))
        page.goto(f"{site}/page")
        return page

    page = opened()
    page.get_by_role("button", name="Ask").click()
    answers = page.locator(".assistant")
    expect(answers).to_contain_text("You asked:")
    page.reload()
    expect(answers).to_contain_text("You asked:")
    other = opened()
    expect(other.locator(".assistant")).to_contain_text("You asked:")
    nodes[0].kill()
    for each in (page, other):
        expect(each.locator(".assistant")).to_have_text(ANSWER.strip())
        assert each.locator(".user").all_text_contents() == ["Why?"]
    page.get_by_role("button", name="Ask").click()
    expect(answers).to_have_count(2)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    said = answers.last.text_content() or ""
    assert ANSWER.startswith(said) and said != ANSWER
    page.reload()
    expect(answers).to_have_count(2)
    assert (answers.first.text_content(), answers.last.text_content()) == (ANSWER, said)

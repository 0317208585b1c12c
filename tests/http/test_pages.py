"""The pages: what their headers forbid, that nothing in them leads elsewhere, and that their files are a fixed list."""

from __future__ import annotations

import html
import re
from importlib.resources import files
from typing import Any

import pytest
from starlette.requests import Request

from gateway.http.assets import Asset, assets
from gateway.routes.pages import PAGES, other_name, policy
from tests.http.api import Api
from tests.support.raw_peer import RawPeer

PATHS = list(PAGES)
WEB = files("gateway").joinpath("web")
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
}


@pytest.mark.parametrize("path", PATHS)
async def test_a_page_runs_its_own_files_and_talks_to_its_own_node_alone(api: Api, path: str) -> None:
    answer = await api.call("GET", path)
    directives = dict(part.strip().partition(" ")[::2] for part in answer.headers["content-security-policy"].split(";"))
    assert directives == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
    }
    assert answer.headers["cache-control"] == "no-store"
    for header, value in HEADERS.items():
        assert answer.headers[header] == value


@pytest.mark.parametrize("path", PATHS)
async def test_a_page_has_nothing_inline_and_needs_no_other_host(api: Api, path: str) -> None:
    page = (await api.call("GET", path)).body.decode()
    assert set(re.findall(r"https?://[^/\s'\"<]+", page)) <= {api.base}
    assert not re.search(r"<style|<script(?![^>]* src=)|\son\w+=|\sstyle=|javascript:", page)
    assert "{{" not in page
    assert page.count("aria-current") == 1


@pytest.mark.parametrize("path", PATHS)
async def test_the_links_of_a_page_are_relative_and_lead_somewhere(api: Api, path: str) -> None:
    """Relative: a proxy may put a prefix before everything."""
    links = re.findall(r'(?:href|src)="([^"#]+)"', (await api.call("GET", path)).body.decode())
    assert len(links) >= 8
    for link in {html.unescape(link) for link in links}:
        assert not link.startswith(("/", "http"))
        assert (await api.call("GET", "/" + link.removeprefix("./"))).status == 200


@pytest.mark.parametrize("name", sorted(assets()))
def test_a_file_of_the_pages_mentions_no_other_host(name: str) -> None:
    text = assets()[name].body.decode()
    hosts = set(re.findall(r"(?:https?:)?//([\w.-]+\.[a-z]{2,}|\d+\.\d+\.\d+\.\d+)", text))
    assert hosts <= {"www.w3.org", "example.com", "events.example.com"}
    assert not re.search(r"\beval\(|new Function|innerHTML|outerHTML|document\.write|insertAdjacentHTML", text)


@pytest.mark.parametrize("name", sorted(assets()))
def test_the_modules_of_the_pages_import_one_another_by_relative_addresses(name: str) -> None:
    imports = re.findall(r"""(?:from|import)\s+"([^"]+)";""", assets()[name].body.decode())
    wanted = {each for each in imports if name != "react.js" or each != "react"}
    assert all(each.startswith("./") and each.removeprefix("./") in assets() for each in wanted)


@pytest.mark.parametrize("host", ["evil.example/<script>", "$(id)", "a b", '"><b>', "é", "x" * 300])
async def test_a_strange_host_does_not_get_into_the_commands(api: Api, host: str) -> None:
    answer = await api.call("GET", "/", headers={"Host": host})
    assert host not in answer.body.decode()


@pytest.mark.parametrize(
    ("host", "other"),
    [
        ("127.0.0.1:8000", "http://localhost:8000"),
        ("localhost", "http://127.0.0.1"),
        ("events.example.com", ""),
        ("localhost:80; script-src *", ""),
        ("localhost:", ""),
    ],
)
def test_only_the_two_loopback_names_stand_for_each_other(host: str, other: str) -> None:
    scope: dict[str, Any] = {"type": "http", "scheme": "http", "path": "/", "headers": [(b"host", host.encode())]}
    scope |= {"server": ("127.0.0.1", 1), "query_string": b""}
    assert other_name(Request(scope)) == other
    assert f"connect-src 'self'{' ' + other if other else ''};" in policy(other)


# Files ---


async def test_the_browser_client_and_its_types_are_served(api: Api) -> None:
    for name, media_type in (("sse-client.js", "text/javascript"), ("sse-client.d.ts", "text/plain")):
        answer = await api.call("GET", f"/static/{name}")
        assert answer.headers["content-type"] == f"{media_type}; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.body == WEB.joinpath("client", name).read_bytes()
        for header, value in HEADERS.items():
            assert answer.headers[header] == value


async def test_a_file_that_the_browser_has_is_not_sent_again(api: Api) -> None:
    tag = (await api.call("GET", "/static/ui.js")).headers["etag"]
    for known in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        answer = await api.call("GET", "/static/ui.js", headers={"If-None-Match": known})
        assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", tag)
    assert (await api.call("GET", "/static/ui.js", headers={"If-None-Match": '"other"'})).status == 200


async def test_head_says_how_long_a_file_is_and_sends_none(api: Api) -> None:
    answer = await api.call("HEAD", "/static/pages.css")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["content-length"]) == len(assets()["pages.css"].body)
    assert answer.headers["content-type"] == "text/css; charset=utf-8"


@pytest.mark.parametrize(
    "path",
    [
        "/static/",
        "/static",
        "/static/index.html",
        "/static/frame.html",
        "/static/../app.py",
        "/static/..%2f..%2fapp.py",
        "/static/%2e%2e/%2e%2e/app.py",
        "/static/..%5c..%5capp.py",
        "/static/%2fetc%2fpasswd",
        "/static//etc/passwd",
        "/static/ui.js%00.css",
        "/static/ui.js/",
        "/static/UI.JS",
        "/static/__init__.py",
        "/static/%ff",
    ],
)
async def test_nothing_but_the_listed_files_can_be_had(api: Api, path: str) -> None:
    """Asked with the bytes as they are: a client library would tidy the path up."""
    async with await RawPeer.ask(
        api.base, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    ) as peer:
        assert (await peer.read_to_end()).startswith(b"HTTP/1.1 404 ")


def test_a_tag_is_known_only_where_it_is_named() -> None:
    asset = Asset(b"", "text/css", '"abc"')
    assert asset.is_known('"x", "abc"')
    assert not asset.is_known(None)
    assert not asset.is_known('"abcd"')
    assert not asset.is_known("abc")

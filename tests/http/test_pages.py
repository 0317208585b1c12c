"""The landing page, and what its headers forbid."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest

from tests.http.api import Api


async def test_the_landing_page_allows_its_own_style_and_nothing_else(api: Api) -> None:
    answer = await api.call("GET", "/")
    page, policy = answer.body.decode(), answer.headers["content-security-policy"]
    [style] = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}';" in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    for header, value in (("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer")):
        assert answer.headers[header] == value


async def test_the_landing_page_needs_no_other_host_and_no_script(api: Api) -> None:
    page = (await api.call("GET", "/")).body.decode()
    assert set(re.findall(r"https?://[^/\s'\"<]+", page)) == {api.base}
    assert not re.search(r"<script|\son\w+=|\sstyle=|javascript:", page)
    assert "{{" not in page


async def test_the_links_of_the_landing_page_lead_somewhere(api: Api) -> None:
    links = re.findall(r'href="([^"]+)"', (await api.call("GET", "/")).body.decode())
    assert links
    for link in links:
        assert (await api.call("GET", link)).status == 200


@pytest.mark.parametrize("host", ["evil.example/<script>", "$(id)", "a b", '"><b>', "é", "x" * 300])
async def test_a_strange_host_does_not_get_into_the_commands(api: Api, host: str) -> None:
    answer = await api.call("GET", "/", headers={"Host": host})
    assert host not in answer.body.decode()

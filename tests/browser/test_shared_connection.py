"""One connection for all tabs in a real browser, whose Web Locks and channels the tests in Node only stand in for."""

from __future__ import annotations

import secrets
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page

from tests.browser.conftest import OpenPage
from tests.support.waiting import wait_until

pytestmark = pytest.mark.xdist_group("browser")

FOLLOW = """async ([client, token]) => {
  const { connect } = await import("/static/sse-client.js");
  window.got = [];
  window.states = [];
  window.connection = connect([`client:${client}`], {
    token,
    shared: true,
    minDelayMs: 50,
    maxDelayMs: 500,
    onEvent: ({ type, data }) => type === "tick" && window.got.push(data),
    onStateChange: ({ state }) => window.states.push(state),
  });
}"""


def wait_for(page: Page, condition: str) -> None:
    """Asked again and again from here, because the pages' Content-Security-Policy forbids them to evaluate text."""
    wait_until(lambda: page.evaluate(condition), condition)


class Client:
    """A user of the node that `dev` runs, with a name that nobody else has."""

    def __init__(self, dev: str, open_page: OpenPage) -> None:
        self.name = f"u-{secrets.token_hex(5)}"
        self._dev = dev
        self._open_page = open_page
        self._publisher = self.token("worker", "publish stats")

    def tab(self) -> Page:
        page = self._open_page(f"{self._dev}/client")
        page.evaluate(FOLLOW, [self.name, self.token(self.name)])
        return page

    def attached_tab(self) -> Page:
        page = self.tab()
        wait_for(page, "window.connection.shared && window.connection.state === 'open'")
        return page

    def send(self, number: int) -> None:
        self._call("POST", "/v1/events", {"channel": f"client:{self.name}", "type": "tick", "data": number})

    def streams(self) -> int:
        clients = self._call("GET", "/v1/clients?limit=1000")["clients"]
        return sum(client["connections"] for client in clients if client["client_id"] == self.name)

    def token(self, subject: str, scope: str = "") -> str:
        answer = httpx.get(f"{self._dev}/dev/token", params={"sub": subject, "scope": scope})
        return str(answer.raise_for_status().json()["token"])

    def _call(self, method: str, path: str, body: object = None) -> Any:
        headers = {"Authorization": f"Bearer {self._publisher}"}
        return httpx.request(method, f"{self._dev}{path}", headers=headers, json=body).raise_for_status().json()


@pytest.fixture
def client(dev: str, open_page: OpenPage) -> Client:
    return Client(dev, open_page)


def expect_numbers(page: Page, last: int) -> None:
    """The page has got everything up to ``last``, each once and in order."""
    wait_for(page, f"window.got.includes({last})")
    got = page.evaluate("window.got")
    assert got == list(range(got[0], last + 1))


def test_tabs_share_one_stream_over_the_end_of_the_one_that_leads(client: Client) -> None:
    first, *others = [client.attached_tab() for _ in range(3)]
    wait_until(lambda: client.streams() == 1, "the tabs' one stream")
    for number in range(1, 31):
        client.send(number)
        if number == 10:
            expect_numbers(first, 10)
            first.close()
        if number == 20:
            others[0].reload()
            others[0].evaluate(FOLLOW, [client.name, client.token(client.name)])
            wait_for(others[0], "window.connection.state === 'open'")
    expect_numbers(others[1], 30)
    assert others[1].evaluate("window.got[0]") == 1
    expect_numbers(others[0], 30)
    late = client.attached_tab()
    client.send(31)
    for page in (*others, late):
        expect_numbers(page, 31)
    wait_until(lambda: client.streams() == 1, "the tabs' one stream")


def test_a_browser_that_was_offline_catches_up_in_every_tab(client: Client) -> None:
    tabs = [client.attached_tab() for _ in range(2)]
    client.send(1)
    for tab in tabs:
        expect_numbers(tab, 1)
    tabs[0].context.set_offline(True)
    client.send(2)
    tabs[0].context.set_offline(False)
    client.send(3)
    for tab in tabs:
        expect_numbers(tab, 3)


def test_the_last_tab_takes_the_stream_with_it(client: Client) -> None:
    tabs = [client.attached_tab() for _ in range(2)]
    for tab in tabs:
        tab.evaluate("window.connection.close()")
    wait_until(lambda: client.streams() == 0, "the end of the stream")
    assert tabs[0].evaluate("navigator.locks.query().then(({ held, pending }) => held.length + pending.length)") == 0

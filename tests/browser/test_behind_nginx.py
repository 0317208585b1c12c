"""A real browser and two nodes with the example configuration of nginx in between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page

from publisher import Publisher
from tests.browser.conftest import OpenPage
from tests.support.nginx import Nginx
from tests.support.node import Node
from tests.support.tokens import token
from tests.support.waiting import wait_until

pytestmark = pytest.mark.xdist_group("browser")

NATIVE = """(url) => {
  window.native = [];
  window.source = new EventSource(url);
  window.source.addEventListener("tick", (event) => window.native.push(JSON.parse(event.data)));
}"""
CLIENT = """async ([url, token, shared]) => {
  const { connect } = await import("/static/sse-client.js");
  window.got = [];
  window.connection = connect(url, {
    token, shared, minDelayMs: 50, maxDelayMs: 500,
    onEvent: ({ type, data }) => type === "tick" && window.got.push(data),
  });
}"""


class Site:
    """Two nodes, their nginx, and a publisher of numbers."""

    def __init__(self, nodes: tuple[Node, Node], nginx: Nginx, publisher: Publisher) -> None:
        self.nodes, self.nginx, self.publisher = nodes, nginx, publisher

    def streams(self, node: Node) -> int:
        lines = httpx.get(f"{node.base}/metrics").raise_for_status().text.splitlines()
        return int(sum(float(line.split()[-1]) for line in lines if line.startswith("sse_gateway_connections{")))

    def all_streams(self) -> int:
        return sum(self.streams(node) for node in self.nodes)

    def ticket(self, channel: str) -> str:
        answer = httpx.post(
            f"{self.nginx.base}/v1/tickets",
            json={"channels": [channel]},
            headers={"Authorization": f"Bearer {token('ann')}"},
        )
        return str(answer.raise_for_status().json()["ticket"])


@pytest.fixture
def site(redis_url: str, prefix: str, tmp_path: Path) -> Iterator[Site]:
    with (
        Node(redis_url, prefix, RETRY_MS="50-100", LOG_LEVEL="debug") as first,
        Node(redis_url, prefix, RETRY_MS="50-100", LOG_LEVEL="debug") as second,
        Nginx(tmp_path, first.port, second.port) as nginx,
        Publisher.from_url(redis_url, prefix=prefix) as publisher,
    ):
        yield Site((first, second), nginx, publisher)


def wait_for(page: Page, condition: str) -> None:
    wait_until(lambda: page.evaluate(condition), condition)


def test_both_clients_resume_on_the_other_node_with_nothing_lost_or_doubled(site: Site, open_page: OpenPage) -> None:
    """The ticket in EventSource's address is good for the reconnect too, and no log has a word of it."""
    ticket = site.ticket("client:ann")
    page = open_page(f"{site.nginx.base}/client")
    page.evaluate(NATIVE, f"/v1/events?channel=client:ann&ticket={ticket}")
    page.evaluate(CLIENT, ["/v1/clients/ann/events", token("ann"), False])
    wait_for(page, "window.source.readyState === 1 && window.connection.state === 'open'")
    wait_until(lambda: site.all_streams() == 2, "two streams")
    numbers = iter(range(1, 1000))
    sent = [next(numbers)]
    site.publisher.send("ann", "tick", sent[-1])
    for each in ("native", "got"):
        wait_for(page, f"window.{each}.length === 1")  # nothing follows that would push it out of a buffer
    for dead, alive in (site.nodes, site.nodes[::-1]):
        dead.kill()

        def moved(alive: Node = alive) -> bool:
            sent.append(next(numbers))
            site.publisher.send("ann", "tick", sent[-1])
            return site.streams(alive) == 2

        wait_until(moved, "both streams on the node that lives")
        dead.start()
    for each in ("native", "got"):
        wait_for(page, f"window.{each}.includes({sent[-1]})")
        assert page.evaluate(f"window.{each}") == sent
    assert ticket not in site.nginx.logs + "".join(node.log for node in site.nodes)
    assert " /v1/events 200 " in site.nginx.logs


def test_seven_tabs_share_one_connection_where_native_ones_starve(site: Site, open_page: OpenPage) -> None:
    pages = [open_page(f"{site.nginx.base}/client") for _ in range(7)]
    address = f"/v1/events?channel=client:ann&ticket={site.ticket('client:ann')}"
    for page in pages[:6]:
        page.evaluate(NATIVE, address)
        wait_for(page, "window.source.readyState === 1")
    pages[6].evaluate(NATIVE, address)
    site.publisher.send("ann", "tick", 1)
    for page in pages[:6]:
        wait_for(page, "window.native.length === 1")
    assert pages[6].evaluate("[window.source.readyState, window.native.length]") == [0, 0]
    assert site.all_streams() == 6
    for page in pages:
        page.evaluate("window.source.close()")
    wait_until(lambda: site.all_streams() == 0, "the end of the native streams")

    for page in pages:
        page.evaluate(CLIENT, ["/v1/clients/ann/events", token("ann"), True])
        wait_for(page, "window.connection.shared && window.connection.state === 'open'")
    site.publisher.send("ann", "tick", 2)
    for page in pages:
        wait_for(page, "window.got.includes(2)")
    assert site.all_streams() == 1
    assert pages[6].evaluate("fetch('/openapi.json').then((answer) => answer.status)") == 200


def test_streams_keep_their_headers_and_inner_paths_stay_inside(site: Site) -> None:
    with httpx.stream(
        "GET", f"{site.nginx.base}/v1/clients/ann/events", headers={"Authorization": f"Bearer {token('ann')}"}
    ) as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache, no-transform"
    for path in ("/metrics", "/livez", "/readyz"):
        assert httpx.get(site.nginx.base + path).status_code == 404

"""A real browser and two nodes with the example configuration of nginx in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from itertools import count
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page

from tests.browser.conftest import OpenPage
from tests.browser.site import Site, running_site
from tests.support.node import Node
from tests.support.tokens import token
from tests.support.waiting import wait_until

pytestmark = pytest.mark.xdist_group("browser")

SLOWLY_S = 60.0
"""Longer than the 30 s after which a browser comes back that a stopping or full node has refused."""
CONNECTING, OPEN, CLOSED = 0, 1, 2
"""What EventSource calls its ``readyState``; it never leaves the last one."""

NATIVE = """(url) => {
  window.native = [];
  window.source = new EventSource(url);
  const note = (type, told) =>
    window.source.addEventListener(type, (event) => window.native.push(told(JSON.parse(event.data))));
  note("tick", (number) => number);
  note("job.progress", (job) => job.current);
  note("job.completed", (job) => job.result);
}"""
CLIENT = """async ([url, token, shared]) => {
  const { connect } = await import("/static/sse-client.js");
  window.got = [];
  const told = {
    "tick": (number) => number,
    "job.progress": (job) => job.current,
    "job.completed": (job) => job.result,
  };
  window.connection = connect(url, {
    token, shared, minDelayMs: 50, maxDelayMs: 500,
    onEvent: ({ type, data }) => type in told && window.got.push(told[type](data)),
  });
}"""
TASK = """(url) => {
  window.told = [];
  window.source = new EventSource(url);
  for (const type of ["task_progress", "file_update", "task_completed"]) {
    window.source.addEventListener(type, (event) => {
      window.told.push([type, JSON.parse(event.data)]);
      if (type === "task_completed") window.source.close();
    });
  }
}"""
GENERATION = """([url, token]) => {
  window.statuses = [];
  (async () => {
    const answer = await fetch(url, { headers: { Authorization: `Bearer ${token}` } });
    const reader = answer.body.getReader();
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      for (const message of decoder.decode(value).split("\\n\\n")) {  // as if a chunk never ended within a message
        const line = message.split("\\n").find((each) => each.startsWith("data: "));
        if (line) window.statuses.push(JSON.parse(line.slice("data: ".length)));
      }
    }
    window.statuses.push("end");
  })();
}"""


@pytest.fixture
def start_site(redis_url: str, prefix: str, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    with ExitStack() as stack:

        def start(**settings: object) -> Site:
            running: AbstractContextManager[Site] = running_site(redis_url, prefix, tmp_path, **settings)
            return stack.enter_context(running)

        yield start


def wait_for(page: Page, condition: str, timeout_s: float = SLOWLY_S) -> None:
    wait_until(lambda: page.evaluate(condition), condition, timeout_s)


class Numbers:
    """Reports of one job, numbered without a gap: steps of its progress and events of its own in turn."""

    def __init__(self, site: Site) -> None:
        self._publisher = site.publisher
        self._next = count(1)
        self.sent: list[int] = []
        site.publisher.create_job("j1", kind="count", owner="ann")

    def send(self) -> None:
        number = next(self._next)
        if number % 2:
            self._publisher.publish("job:j1", "tick", number)
        else:
            self._publisher.update_job("j1", current=number)
        self.sent.append(number)

    def complete(self) -> None:
        self._publisher.update_job("j1", status="completed", result="the end")


def stopped(node: Node) -> None:
    """It lets its streams go, and ends."""
    node.terminate()
    assert node.wait() == 0


@pytest.mark.parametrize(
    ("settings", "end"),
    [
        pytest.param({}, Node.kill, id="killed"),
        # Browsers come back when the node is gone: before, nginx may send them to it once more, and they wait.
        pytest.param({"DRAIN_S": 0, "RETRY_MS": "700-1000"}, stopped, id="restarted"),
    ],
)
def test_a_job_is_followed_to_its_end_while_one_node_after_the_other_is(
    settings: dict[str, object], end: Callable[[Node], None], start_site: Callable[..., Site], open_page: OpenPage
) -> None:
    """Nothing is lost or doubled, neither for EventSource nor for the client, and neither comes back after the end.

    The ticket in EventSource's address is good for each reconnect, and no log has a word of it.
    """
    site = start_site(**settings)
    numbers = Numbers(site)
    ticket = site.ticket("job:j1")
    page = open_page(f"{site.base}/client")
    page.evaluate(NATIVE, f"/v1/jobs/j1/events?ticket={ticket}")
    page.evaluate(CLIENT, ["/v1/jobs/j1/events", token("ann"), False])
    wait_for(page, f"window.source.readyState === {OPEN} && window.connection.state === 'open'")
    wait_until(lambda: site.all_streams() == 2, "two streams")
    numbers.send()
    for each in ("native", "got"):
        wait_for(page, f"window.{each}.length === 1")  # nothing follows that would push it out of a buffer

    def moved_to(node: Node) -> bool:
        numbers.send()
        return site.streams(node) == 2

    first, second = sorted(site.nodes, key=site.streams, reverse=True)
    for going, staying in ((first, second), (second, first)):
        assert site.streams(going) > 0
        end(going)
        wait_until(partial(moved_to, staying), "both streams on the node that stays", SLOWLY_S)
        going.start()

    for each in ("native", "got"):
        wait_for(page, f"window.{each}.includes({numbers.sent[-1]})")
    opened = site.total("connections_opened_total")
    numbers.complete()
    wait_for(page, f"window.source.readyState === {CLOSED} && window.connection.state === 'closed'")
    for each in ("native", "got"):
        assert page.evaluate(f"window.{each}") == [*numbers.sent, "the end"]
    wait_until(lambda: site.nginx.logs.count(" /v1/jobs/j1/events 204 ") == 1, "the 204 in the log")
    wait_until(lambda: site.all_streams() == 0, "the end of both streams")
    assert site.total("connections_opened_total") == opened
    assert ticket not in site.logs
    assert " /v1/jobs/j1/events 200 " in site.nginx.logs


def test_eventsource_survives_full_nodes_and_comes_back_when_there_is_room(
    start_site: Callable[..., Site], open_page: OpenPage
) -> None:
    """Of many that are refused the first comes back soon, each after 5 to 30 s of its own."""
    many = 15
    site = start_site(MAX_CONNECTIONS=1)
    page = open_page(f"{site.base}/client")
    address = f"/v1/events?channel=client:ann&ticket={site.ticket('client:ann')}"
    open_all = """([url, many]) => {
      window.sources = Array.from({ length: many }, () => new EventSource(url));
    }"""
    page.evaluate(open_all, [address, many])
    wait_until(
        lambda: site.total("connections_refused_total", reason="node_limit") >= many - 2, "all but two to be refused"
    )
    states = "window.sources.map((each) => each.readyState).toSorted()"
    full = [CONNECTING] * (many - 2) + [OPEN] * 2
    wait_until(lambda: page.evaluate(states) == full, "two to be open and the others not to be closed")
    # A refused one that asks again just now is open for a moment, too.
    close_open = f"""() => {{
      const open = window.sources.filter((each) => each.readyState === {OPEN});
      open.forEach((each) => each.close());
      return open.length;
    }}"""
    closed = page.evaluate(close_open)
    assert 2 <= closed < many
    wait_until(lambda: page.evaluate(states).count(OPEN) > 0, "one that was refused to be open", SLOWLY_S)
    assert page.evaluate(states).count(CLOSED) == closed


def test_front_ends_of_other_servers_follow_a_job_as_they_are(
    start_site: Callable[..., Site], open_page: OpenPage
) -> None:
    """One by EventSource with names of its own, one that takes each chunk for whole messages."""
    site = start_site()
    job = partial(site.publisher.update_job, "j1")
    site.publisher.create_job("j1", kind="image", owner="ann")
    page = open_page(f"{site.base}/client")
    page.evaluate(TASK, f"/api/v1/status/tasks/j1/stream?ticket={site.ticket('job:j1')}")
    page.evaluate(GENERATION, ["/api/generation?sessionId=j1", token("ann")])
    wait_for(page, "window.told.length === 1 && window.statuses.length === 1")
    job(progress=40, current=4, total=10, message="Reading")
    job(item={"item_id": "f1", "filename": "a.png", "status": "processing"})
    wait_for(page, "window.told.length === 4 && window.statuses.length === 3")  # each at once
    job(status="completed", result={"output": ["1.png"]})
    wait_for(page, "window.told.length === 5 && window.statuses.at(-1) === 'end'")

    told = page.evaluate("window.told")
    assert [type_ for type_, _ in told] == ["task_progress"] * 3 + ["file_update", "task_completed"]
    *_, read, file, done = [data for _, data in told]
    assert [data["sequence"] for _, data in told] == [1, 2, 3, 4, 5]  # created, started, and what is reported above
    assert (read["current"], read["total_files"], read["message"]) == (4, 10, "Reading")
    assert (file["filename"], done["result"]) == ("a.png", {"output": ["1.png"]})
    assert page.evaluate("window.statuses") == [
        {"status": "started"},
        {"status": "processing", "progress": 0},
        {"status": "processing", "progress": 40},
        {"status": "succeeded", "progress": 100, "output": ["1.png"]},
        "end",
    ]


def test_seven_tabs_share_one_connection_where_native_ones_starve(
    start_site: Callable[..., Site], open_page: OpenPage
) -> None:
    site = start_site()
    pages = [open_page(f"{site.base}/client") for _ in range(7)]
    *six, seventh = pages
    address = f"/v1/events?channel=client:ann&ticket={site.ticket('client:ann')}"
    for page in six:
        page.evaluate(NATIVE, address)
        wait_for(page, f"window.source.readyState === {OPEN}")
    seventh.evaluate(NATIVE, address)
    site.publisher.send("ann", "tick", 1)
    for page in six:
        wait_for(page, "window.native.length === 1")
    assert seventh.evaluate("[window.source.readyState, window.native.length]") == [CONNECTING, 0]
    assert site.total("connections_opened_total") == 6

    six[0].evaluate("window.source.close()")
    wait_for(seventh, f"window.source.readyState === {OPEN}")  # a free place was all that it waited for
    site.publisher.send("ann", "tick", 2)
    wait_for(seventh, "window.native.length === 1")
    assert seventh.evaluate("window.native") == [2]
    for page in pages:
        page.evaluate("window.source.close()")
    wait_until(lambda: site.all_streams() == 0, "the end of the native streams")

    for page in pages:
        page.evaluate(CLIENT, ["/v1/clients/ann/events", token("ann"), True])
        wait_for(page, "window.connection.shared && window.connection.state === 'open'")
    site.publisher.send("ann", "tick", 3)
    for page in pages:
        wait_for(page, "window.got.includes(3)")
    assert site.all_streams() == 1
    assert seventh.evaluate("fetch('/openapi.json').then((answer) => answer.status)") == 200


def test_streams_keep_their_headers_and_inner_paths_stay_inside(start_site: Callable[..., Site]) -> None:
    site = start_site()
    with httpx.stream(
        "GET", f"{site.base}/v1/clients/ann/events", headers={"Authorization": f"Bearer {token('ann')}"}
    ) as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache, no-transform"
    for path in ("/metrics", "/livez", "/readyz"):
        assert httpx.get(site.base + path).status_code == 404

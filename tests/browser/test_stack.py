"""`make stack` in a real browser: thirty streams over one connection, pages, and what is killed comes back."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.conftest import OpenPage
from tests.support.commands import Running
from tests.support.node import ROOT, children
from tests.support.ports import HOST, free_port
from tests.support.waiting import wait_until

pytestmark = pytest.mark.xdist_group("browser")

STREAMS = 30
OPEN_ALL = """(count) => {
  window.opened = 0;
  window.told = new Array(count).fill(0);
  window.sources = window.told.map((_, number) => {
    const source = new EventSource(`/v1/events?channel=topic:demo&last=1&n=${number}`);
    source.addEventListener("stream.open", () => { window.opened += 1; });
    source.addEventListener("demo-started", () => { window.told[number] += 1; });
    return source;
  });
}"""
COUNT_OPEN = "window.sources.filter((source) => source.readyState === EventSource.OPEN).length"
PROTOCOL = "performance.getEntriesByType('navigation')[0].nextHopProtocol"


def started(port: int, folder: Path) -> Running:
    return Running([sys.executable, "-m", "tests.stack", "--port", str(port), "--folder", str(folder)])


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[tuple[Running, str]]:
    port = free_port()
    with started(port, tmp_path / "a folder") as running:
        yield running, running.wait_for("Ctrl-C ends it all.", 120) and f"https://{HOST}:{port}"
        if running.process.poll() is None:
            running.end(signal.SIGINT)


def test_thirty_streams_of_one_browser_outlive_a_killed_node(stack: tuple[Running, str], open_page: OpenPage) -> None:
    running, base = stack
    for place in ("/client", "/admin", "/demo", "/"):
        page = open_page(f"{base}{place}", ignore_https_errors=True)
        assert page.locator("h1").first.is_visible(), place
    assert page.evaluate(PROTOCOL) == "h2"
    page.evaluate(OPEN_ALL, STREAMS)
    wait_until(lambda: page.evaluate("window.opened") == STREAMS, "thirty streams")
    wait_until(lambda: page.evaluate("Math.min(...window.told)") >= 1, "a job on each of them", 60)
    node = re.search(r"Node 1 answers \(pid (\d+)\)", running.stdout)
    assert node
    os.kill(int(node[1]), signal.SIGKILL)
    wait_until(lambda: "Node 1 has started again" in running.stderr, "another node 1")
    wait_until(lambda: page.evaluate(COUNT_OPEN) == STREAMS, "all streams to be open again")
    below = children(running.process.pid)
    assert len(below) == 7
    assert running.end(signal.SIGINT) == 0
    assert not [pid for pid in below if Path(f"/proc/{pid}").exists()]


def test_a_taken_port_is_told_in_one_sentence_and_git_sees_nothing(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        with started(taken.getsockname()[1], tmp_path) as refused:
            assert refused.wait() == 1
            assert len(refused.stderr.splitlines()) == 1 and "in use" in refused.stderr
    assert subprocess.run(["git", "check-ignore", "-q", "build/stack/nginx.log"], cwd=ROOT).returncode == 0

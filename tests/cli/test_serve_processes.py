"""``sse-gateway serve --processes N``: several nodes on one port, as operators and clients see them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from publisher import AsyncPublisher
from tests.support.commands import run
from tests.support.eventsource import EventSource
from tests.support.http1 import request
from tests.support.meter import Meter
from tests.support.node import SERVE, Node, children
from tests.support.ports import HOST, free_port
from tests.support.tokens import SECRET, token
from tests.support.waiting import until, wait_until

TWO = (*SERVE, "--processes", "2")
NEXT_SECRET = SECRET[::-1]
STREAMS = 30
PATH = "/v1/events?channel=topic:a"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(SECRET)
    return path


@pytest.fixture
def node(redis_url: str, prefix: str, key_file: Path) -> Iterator[Node]:
    settings = {"DRAIN_S": 1, "RETRY_MS": "50-100", "MAX_CONNECTIONS_PER_USER": 0, "CONNECT_RATE_PER_S": 0}
    with Node(redis_url, prefix, command=TWO, JWT_KEY_FILE=key_file, ANONYMOUS="read", **settings) as running:
        wait_until(lambda: "processes.started" in running.log, "all processes to listen")
        yield running


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def shown(node: Node) -> set[str]:
    """The numbers of the processes whose figures are shown."""
    return {number for number in "012" if await Meter(node).figure("redis_up", process=number)}


async def both_shown(node: Node) -> bool:
    return await shown(node) == {"0", "1"}


class Visitors:
    """Streams that come back like browsers, somebody who publishes to them, and short calls on new connections."""

    def __init__(self, base: str, pub: AsyncPublisher, sources: list[EventSource]) -> None:
        self._base = base
        self._pub = pub
        self._sources = sources
        self._over = asyncio.Event()
        self.published = 0
        self.calls = 0

    async def _publish(self) -> None:
        while not self._over.is_set():
            await self._pub.publish("topic:a", "n", {"n": self.published})
            self.published += 1
            await asyncio.sleep(0.01)

    async def _call(self) -> None:
        while not self._over.is_set():
            assert (await request(self._base, "/livez")).status == 200
            self.calls += 1

    @asynccontextmanager
    async def at_work(self, callers: int = 0) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._publish())
            for _ in range(callers):
                group.create_task(self._call())
            try:
                yield
            finally:
                self._over.set()

    async def check_all_came_once_in_order(self) -> None:
        wanted = list(range(self.published))
        for source in self._sources:
            await source.wait_for(lambda s=source: len(s.of_type("n")) >= len(wanted), "all events")  # type: ignore[misc]
            assert [event.json()["n"] for event in source.of_type("n")] == wanted


@asynccontextmanager
async def visitors(node: Node, redis_url: str, prefix: str) -> AsyncIterator[Visitors]:
    async with AsyncExitStack() as stack:
        pub = await stack.enter_async_context(AsyncPublisher.from_url(redis_url, prefix=prefix))
        sources = [
            await stack.enter_async_context(EventSource(node.base, PATH, reconnect=True)) for _ in range(STREAMS)
        ]
        for source in sources:
            await source.next_of_type("stream.open")
        yield Visitors(node.base, pub, sources)


@pytest.mark.xdist_group("processes")
async def test_sighup_replaces_all_without_a_lost_event_or_a_refused_call(
    node: Node, key_file: Path, redis_url: str, prefix: str
) -> None:
    """Both hold streams, any shows the figures of both; key files are read anew, and a bad one changes nothing."""
    before = children(node.pid)
    assert len(before) == 2
    async with visitors(node, redis_url, prefix) as here:
        each = [await Meter(node).figure("connections", process=number) for number in "01"]
        assert sum(each) == STREAMS and min(each) >= STREAMS / 10
        async with here.at_work(callers=3):
            replace_all(node, key_file, "short")
            await until(lambda: "processes.not_replaced" in node.log, "the refusal of the key")
            assert children(node.pid) == before
            replace_all(node, key_file, NEXT_SECRET)
            await until(lambda: not any(map(alive, before)), "the end of both")
        await here.check_all_came_once_in_order()
        assert here.calls > 0
        assert await shown(node) == {"0", "1"}
        stats = await request(node.base, "/v1/stats", headers={"Authorization": f"Bearer {_admin(NEXT_SECRET)}"})
        assert stats.status == 200
        refused = await request(node.base, "/v1/stats", headers={"Authorization": f"Bearer {_admin(SECRET)}"})
        assert refused.status == 401
    node.terminate()
    assert await asyncio.to_thread(node.wait) == 0
    assert "Traceback" not in node.log and " error " not in node.log


def replace_all(node: Node, key_file: Path, secret: str) -> None:
    key_file.write_text(secret)
    os.kill(node.pid, signal.SIGHUP)


def _admin(secret: str) -> str:
    return token("root", scope="admin", key=secret)


@pytest.mark.xdist_group("processes")
async def test_a_killed_process_is_back_and_all_drain_at_the_end(node: Node, redis_url: str, prefix: str) -> None:
    async with visitors(node, redis_url, prefix) as here:
        before = children(node.pid)
        async with here.at_work():
            os.kill(before[1], signal.SIGKILL)
            await until(lambda: len(children(node.pid)) == 2 and before[1] not in children(node.pid), "another process")
            await until(lambda: both_shown(node), "the figures of both")
        await here.check_all_came_once_in_order()
    async with EventSource(node.base, PATH) as first, EventSource(node.base, PATH) as second:
        for source in (first, second):
            await source.next_of_type("stream.open")
        node.terminate()
        for source in (first, second):
            assert (await source.next_of_type("stream.close")).json()["reason"] == "draining"
    assert await asyncio.to_thread(node.wait) == 0


@pytest.mark.xdist_group("processes")
async def test_processes_end_in_order_when_their_supervisor_is_killed(node: Node) -> None:
    orphans = children(node.pid)
    async with EventSource(node.base, PATH) as stream:
        await stream.next_of_type("stream.open")
        node.kill()
        assert (await stream.next_of_type("stream.close")).json()["reason"] == "draining"
    await until(lambda: not any(map(alive, orphans)), "the end of the processes")


ONE_CORE = """import os, runpy
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
runpy.run_module("gateway", run_name="__main__")
"""


@pytest.mark.xdist_group("processes")
async def test_a_core_per_process_is_one_process_on_one_core_and_is_replaced_like_any(
    redis_url: str, prefix: str, key_file: Path
) -> None:
    """A unit file with ``--processes 0`` reloads by SIGHUP wherever it runs: without a supervisor it would die."""
    command = (sys.executable, "-c", ONE_CORE, "serve", "--processes", "0")
    with Node(redis_url, prefix, command=command, JWT_KEY_FILE=key_file, ANONYMOUS="read", DRAIN_S=1) as node:
        await until(lambda: "processes.started" in node.log, "the process to listen")
        before = children(node.pid)
        assert len(before) == 1
        assert await shown(node) == {"0"}
        replace_all(node, key_file, NEXT_SECRET)
        await until(lambda: not any(map(alive, before)), "the end of the old one")
        assert len(children(node.pid)) == 1 and node.readyz() == 200
        node.terminate()
        assert await asyncio.to_thread(node.wait) == 0


def test_what_cannot_work_is_said_once() -> None:
    given = {"ANONYMOUS": "read"}
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # its port could be shared, and is not
        taken.bind((HOST, 0))
        taken.listen()
        busy = run("serve", "--processes", "2", "--port", str(taken.getsockname()[1]), **given)
    assert busy.returncode == 1 and busy.stderr.count("is in use") == 1
    bad = run("serve", "--processes", "2", "--port", str(free_port()), JWT_KEY="short")
    assert bad.returncode == 1 and len(bad.stderr.splitlines()) == 1
    senseless = run("serve", "--processes", "-3")
    assert senseless.returncode == 2 and "0 for one per core" in senseless.stderr

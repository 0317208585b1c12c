"""The shipped nginx files before real nodes: who is served, who is sent where, and how it arrives."""

from __future__ import annotations

import asyncio
import subprocess
import zlib
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from publisher import AsyncPublisher
from tests.support.certificate import Certificate
from tests.support.eventsource import EventSource
from tests.support.http1 import Exchange, HttpStream, request
from tests.support.meter import Meter
from tests.support.nginx import Nginx
from tests.support.node import Node
from tests.support.waiting import PATIENCE_S, until

PATH = "/v1/events?channel=topic:a"
OPEN = {"ANONYMOUS": "read", "MAX_CONNECTIONS_PER_USER": 0, "CONNECT_RATE_PER_S": 0}


@pytest.fixture
def nodes(start_node: Callable[..., Node]) -> tuple[Node, Node]:
    return start_node(DRAIN_S=20, **OPEN), start_node(DRAIN_S=20, **OPEN)


@pytest.fixture
def nginx(nodes: tuple[Node, Node], tmp_path: Path) -> Iterator[Nginx]:
    with Nginx(tmp_path, *(node.port for node in nodes)) as running:
        yield running


async def test_a_draining_node_gets_no_stream_and_without_any_node_a_browser_comes_back(
    nodes: tuple[Node, Node], nginx: Nginx
) -> None:
    """``least_conn`` would send everybody to the node that empties. Whoever is told to come back is told softly."""
    leaving, staying = nodes
    async with AsyncExitStack() as stack:

        async def opened(accept: str = "text/event-stream") -> EventSource:
            source = EventSource(nginx.base, PATH, headers={"Accept": accept})
            return await (await stack.enter_async_context(source)).opened()

        for _ in range(4):
            await (await opened()).next_of_type("stream.open")
        leaving.terminate()
        await until(lambda: leaving.readyz() == 503, "the drain")
        for accept in ("text/event-stream", "*/*"):
            for _ in range(10):
                await (await opened(accept)).next_of_type("stream.open")
        assert await Meter(leaving).figure("connections_refused_total", reason="draining") > 0
        staying.terminate()
        await until(lambda: staying.readyz() == 503, "the other drain")
        refused = await opened()
        closing = await refused.next_event()
        assert refused.status == 200 and refused.retry_ms is not None and refused.retry_ms >= 5000
        assert closing.type == "stream.close" and closing.json()["reason"] == "draining"
        assert (await opened("*/*")).status == 503
        assert await of_chat(nginx) == 503
        for node in nodes:
            node.kill()
        alone = await (await opened()).wait_stopped()
        assert alone.status == 200 and alone.retry_ms is not None and 5000 <= alone.retry_ms <= 20000
        assert (await opened("*/*")).status == 503
        assert await of_chat(nginx) == 503
        posted = await request(nginx.base, "/v1/events", method="POST", body=b"{}")
        assert posted.status == 503


async def of_chat(nginx: Nginx) -> int:
    """How somebody is refused who takes every clean end for the end of an answer."""
    async with EventSource(nginx.base, "/api/chat/c/stream?answer=a") as chat:
        await chat.wait_stopped()
    return chat.status


async def test_events_arrive_at_once_compressed_and_what_is_inner_stays_inside(
    nginx: Nginx, redis_url: str, prefix: str
) -> None:
    """Each event is flushed by itself; hosts that were not named are not answered."""
    exchange = Exchange(nginx.base, {"Accept": "text/event-stream", "Accept-Encoding": "gzip"})
    async with AsyncPublisher.from_url(redis_url, prefix=prefix) as pub:
        stream = await HttpStream.open(exchange, PATH)
        try:
            assert exchange.headers["content-encoding"] == "gzip"
            await _check_each_comes_at_once(stream, pub)
        finally:
            stream.abort()
    for path in ("/metrics", "/livez", "/readyz"):
        assert (await request(nginx.base, path)).status == 404
    with pytest.raises((OSError, EOFError, asyncio.IncompleteReadError)):
        await request(nginx.base, "/", headers={"Host": "evil.example"})


async def _check_each_comes_at_once(stream: HttpStream, pub: AsyncPublisher) -> None:
    """The next one is published when the last one has come."""
    unzip, text, number = zlib.decompressobj(31), b"", -1
    async with asyncio.timeout(PATIENCE_S):
        async for chunk in stream.chunks():
            text += unzip.decompress(chunk)
            if number < 0 or b'"number":%d' % number in text:
                number += 1
                if number == 5:
                    return
                await pub.publish("topic:a", "n", {"number": number, "text": "much the same text " * 10})


async def test_who_asks_too_often_is_told_to_come_back(start_node: Callable[..., Node], tmp_path: Path) -> None:
    node = start_node(**OPEN)
    changes = {"rate=5000r/s": "rate=1r/s", "burst=5000": "burst=1"}
    with Nginx(tmp_path, node.port, changes=changes) as nginx:
        statuses = [(await request(nginx.base, "/openapi.json")).status for _ in range(5)]
        assert statuses[0] == 200 and statuses[-1] == 503
        async with EventSource(nginx.base, PATH) as source:
            await source.wait_stopped()
            assert source.status == 200 and source.retry_ms is not None and source.retry_ms >= 5000
        assert await of_chat(nginx) == 503


def test_it_speaks_http2_with_tls_and_only_for_its_name(start_node: Callable[..., Node], tmp_path: Path) -> None:
    node = start_node(**OPEN)
    made = Certificate.made_in(tmp_path)
    with Nginx(tmp_path, node.port, certificate=made) as nginx:
        base = nginx.base.replace("127.0.0.1", "localhost")
        ask = ["curl", "--silent", "--http2", "--cacert", str(made.certificate), "--max-time", "20"]
        told = ["--output", str(tmp_path / "page"), "--write-out", "%{http_version} %{http_code}"]
        answer = subprocess.run([*ask, *told, f"{base}/openapi.json"], capture_output=True, text=True, check=True)
        assert answer.stdout == "2 200"
        by_number = subprocess.run([*ask, *told, nginx.base], capture_output=True, text=True, check=False)
        assert by_number.returncode == 35  # no server name, no handshake

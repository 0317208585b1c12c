"""The shipped files of four balancers before real nodes: events at once, drains, deaths, and nobody there."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from publisher import AsyncPublisher
from tests.support.balancer import Balancer, caddy, caddy_http2, envoy, haproxy, haproxy_http2, traefik
from tests.support.eventsource import EventSource, StreamEnded
from tests.support.http1 import request
from tests.support.meter import Meter
from tests.support.node import Node
from tests.support.waiting import PATIENCE_S, until

PATH = "/v1/events?channel=topic:a"
OPEN = {"ANONYMOUS": "read", "MAX_CONNECTIONS_PER_USER": 0, "DRAIN_S": 20, "RETRY_MS": "50-100"}


@pytest.mark.parametrize("kind", [haproxy, caddy, envoy, traefik])
async def test_streams_outlive_their_nodes_and_browsers_the_time_without_any(
    kind: Callable[[Path, int, Sequence[int]], list[str]],
    start_node: Callable[..., Node],
    redis_url: str,
    prefix: str,
    tmp_path: Path,
) -> None:
    """Each event is published when the one before has come. A draining node gets no new stream after a second."""
    nodes = [start_node(**OPEN) for _ in range(3)]
    leaving, dying, staying = nodes
    async with AsyncExitStack() as stack:
        balancer = stack.enter_context(Balancer(kind, tmp_path, *(node.port for node in nodes)))
        pub = await stack.enter_async_context(AsyncPublisher.from_url(redis_url, prefix=prefix))

        async def opened(within: AsyncExitStack = stack) -> EventSource:
            source = EventSource(balancer.base, PATH, reconnect=True, default_retry_ms=50)
            await within.enter_async_context(source)
            await source.next_of_type("stream.open")
            return source

        async def served() -> bool:
            return (await request(balancer.base, "/openapi.json")).status == 200

        await until(served, "the balancer to know a node")
        sources: list[EventSource] = []

        async def spread() -> bool:
            """It may not know all of its nodes yet, and what it does by chance may pass one by."""
            async with AsyncExitStack() as trial:
                sources[:] = [await opened(trial) for _ in range(9)]
                if not all([await Meter(node).figure("connections") for node in nodes]):
                    return False
                stack.push_async_exit(trial.pop_all())
            return True

        await until(spread, "a stream on each node")
        count = 0

        async def tell() -> None:
            nonlocal count
            await pub.publish("topic:a", "n", {"n": count})
            count += 1
            for source in sources:
                assert (await source.next_of_type("n")).json()["n"] == count - 1

        for _ in range(3):
            await tell()
        dying.kill()
        await tell()
        leaving.terminate()
        await until(lambda: leaving.readyz() == 503, "the drain")

        async def stays_away() -> bool:
            """Five new streams in a row that are served at once; a soft refusal has no event."""
            for _ in range(5):
                async with EventSource(balancer.base, PATH) as source:
                    try:
                        await source.next_event()
                    except StreamEnded:
                        return False
            return True

        await until(stays_away, "the balancer to notice the drain")
        await tell()
        for path in ("/metrics", "/livez", "/readyz"):
            assert (await request(balancer.base, path)).status == 404
        for node in (leaving, staying):
            node.kill()
        async with EventSource(balancer.base, PATH) as source:
            await source.wait_stopped()
            if kind is traefik:  # it says 503, which ends a browser's EventSource
                assert source.status in (502, 503)
            else:
                assert source.status == 200 and source.retry_ms == 10_000
        async with EventSource(balancer.base, "/api/chat/c/stream?answer=a") as chat:
            await chat.wait_stopped()
            assert chat.status in (502, 503, 504)
        staying.start()
        await until(served, "the node to be back")
        await opened()


@pytest.mark.parametrize(("kind", "encoding"), [(haproxy_http2, ""), (caddy_http2, "gzip")])
async def test_events_arrive_at_once_over_http2(
    kind: Callable[[Path, int, Sequence[int]], list[str]],
    encoding: str,
    start_node: Callable[..., Node],
    redis_url: str,
    prefix: str,
    tmp_path: Path,
) -> None:
    """The next one is published when the last one has come, compressed where the proxy compresses."""
    node = start_node(**OPEN)
    with Balancer(kind, tmp_path, node.port, node.port, node.port) as balancer:
        options = ["--silent", "--http2", "--no-buffer", "--dump-header", str(tmp_path / "head")]
        asked = [*options, "--cacert", str(tmp_path / "fullchain.pem"), "-H", "Accept-Encoding: gzip"]
        curl = await asyncio.create_subprocess_exec(
            "curl", *asked, f"https://localhost:{balancer.port}{PATH}", stdout=asyncio.subprocess.PIPE
        )
        assert curl.stdout is not None
        read: Callable[[bytes], bytes] = zlib.decompressobj(31).decompress if encoding else bytes
        text, number = b"", -1
        try:
            async with AsyncPublisher.from_url(redis_url, prefix=prefix) as pub, asyncio.timeout(PATIENCE_S):
                while number < 5:
                    data = await curl.stdout.read(65_536)
                    assert data, "the stream ended"
                    text += read(data)
                    if number < 0 or b'"number":%d' % number in text:
                        number += 1
                        await pub.publish("topic:a", "n", {"number": number, "text": "much the same text " * 10})
        finally:
            curl.kill()
            await curl.wait()
    head = (tmp_path / "head").read_text().lower()
    assert head.startswith("http/2 200")
    assert ("content-encoding: gzip" in head) is bool(encoding)

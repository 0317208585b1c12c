"""Clients that do not read, do not leave or come far too often cost nobody anything: real nodes, real sockets."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager

import pytest

from publisher import AsyncPublisher
from tests.cluster.load import PATH, Watch, loading
from tests.support.eventsource import EventSource
from tests.support.meter import Meter, counted
from tests.support.node import Node
from tests.support.number_reader import NumberReader
from tests.support.proxy import Proxy
from tests.support.raw_peer import RawPeer, stream_request
from tests.support.sse_parser import SseEvent
from tests.support.tokens import token

MIB = 1024 * 1024
OPEN = {"MAX_CONNECTIONS_PER_USER": 0, "CONNECT_RATE_PER_S": 0}


def _reader() -> str:
    return token("ann", channels=["*"])


QUEUE = 262_144
PAGE = 262_144
"""What is read from the history at once."""
LARGEST = 65_536
"""An event of these tests, with what is around it."""
alone = pytest.mark.xdist_group("crowds")
"""Not at the same time as another one with thousands of streams or hundreds of megabytes."""


@contextmanager
def trickling(peers: list[RawPeer]) -> Iterator[None]:
    """They read a byte every tenth of a second."""

    async def trickle() -> None:
        while True:
            for peer in peers:
                await peer.read(1)
            await asyncio.sleep(0.1)

    task = asyncio.create_task(trickle())
    try:
        yield
    finally:
        task.cancel()


@alone
async def test_peers_that_do_not_read_cost_no_memory_and_nobody_else_anything(
    start_node: Callable[..., Node], redis_url: str, prefix: str
) -> None:
    """100 MB pass ten clients that never read and two that read a byte at a time."""
    node = start_node(WRITE_TIMEOUT_S=5, QUEUE_BYTES=QUEUE, **OPEN)
    meter, watch = Meter(node), Watch(node)
    async with loading(redis_url, prefix, 64_000) as load, AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(NumberReader(node.base, PATH)) for _ in range(2)]
        await load.publish(64, *readers)
        before = meter.memory()
        peers = [
            await stack.enter_async_context(await RawPeer.ask(node.base, stream_request(PATH), receive_buffer=4096))
            for _ in range(12)
        ]
        await meter.wait_for("connections", 14)
        watching = asyncio.create_task(watch.run())
        with trickling(peers[:2]):
            await load.publish(1536, *readers)
            await meter.wait_for("connections", 2)
        watching.cancel()
        for reader in readers:
            assert reader.numbers == list(range(1, 1601))
    assert watch.readyz == {200}
    assert await meter.figure("connections_closed_total", reason="stalled") == 12
    assert 0 < watch.queue <= 12 * (QUEUE + PAGE + LARGEST)
    assert watch.memory < before + 48 * MIB


@pytest.mark.parametrize("burst", [200, 216])
async def test_a_slow_reader_gets_everything_once_from_a_history_that_is_long_enough(
    start_node: Callable[..., Node], redis_url: str, prefix: str, burst: int
) -> None:
    """It falls behind again and again, while its channel goes on."""
    node = start_node(QUEUE_BYTES=16_384, MAX_EVENT_BYTES=16_384, **OPEN)
    async with (
        loading(redis_url, prefix, 3000, history_events=2000) as load,
        EventSource(node.base, PATH, token=_reader(), receive_buffer=4096) as slow,
    ):
        await slow.next_of_type("stream.open")
        for turn in range(6):
            slow.pause()
            await load.publish(burst)
            slow.resume()
            if turn % 2:
                await load.publish(50)
            await slow.wait_for(lambda: numbers(slow)[-50:], "some of them")
        await slow.wait_for(lambda: numbers(slow)[-1] == load.sent, "the last one")
        assert numbers(slow) == list(range(1, load.sent + 1))
        assert not slow.of_type("stream.reset")
    assert await Meter(node).figure("replayed_events_total") > 0


async def test_a_slow_reader_is_reset_where_the_history_is_too_short(
    start_node: Callable[..., Node], redis_url: str, prefix: str
) -> None:
    """Each time; between two resets nothing is missing, and the newest event is never."""
    node = start_node(QUEUE_BYTES=16_384, MAX_EVENT_BYTES=16_384, **OPEN)
    async with (
        loading(redis_url, prefix, 3000, history_events=20) as load,
        EventSource(node.base, PATH, token=_reader(), receive_buffer=4096) as slow,
    ):
        await slow.next_of_type("stream.open")
        for _ in range(3):
            slow.pause()
            await load.publish(400)
            slow.resume()
            await slow.next_of_type("stream.reset")
        await slow.wait_for(
            lambda: has_come_to(slow, load.sent), "it to catch up: a reset may cover the newest event too"
        )
        await load.publish(1)
        await slow.wait_for(lambda: is_number(slow, load.sent), "the last one")
        assert {event.json()["reason"] for event in slow.of_type("stream.reset")} == {"history_trimmed"}
        assert unbroken(slow.events)


async def test_a_slow_reader_gets_the_last_words_of_its_job(
    start_node: Callable[..., Node], redis_url: str, prefix: str
) -> None:
    """At its own pace: it takes longer than the five seconds that a peer gets which takes nothing."""
    node = start_node(**OPEN)
    with Proxy(node.port) as proxy:
        async with AsyncPublisher.from_url(redis_url, prefix=prefix) as publisher, AsyncExitStack() as stack:
            job = await stack.enter_async_context(publisher.job("j1", kind="k", owner="ann"))
            proxy.trickle(130_000)
            slow = await stack.enter_async_context(
                EventSource(proxy.base, "/v1/jobs/j1/events", token=_reader(), receive_buffer=4096)
            )
            await slow.next_of_type("job.state")
            for n in range(9):
                await job.emit("part", {"n": n, "text": "x" * 100_000})
            await job.complete(result={"n": 9})
            await slow.wait_stopped(40)
            assert [event.type for event in slow.events[-11:]] == ["part"] * 9 + ["job.completed", "stream.close"]


async def test_a_client_that_vanishes_without_a_word_is_noticed(start_node: Callable[..., Node]) -> None:
    """Nothing acknowledges the heartbeats any more."""
    node = start_node(HEARTBEAT_S=1, WRITE_TIMEOUT_S=3, **OPEN)
    meter = Meter(node)
    async with await RawPeer.ask(node.base, stream_request(PATH)) as peer:
        await peer.read_until(b"stream.open")
        try:
            peer.vanish()
        except PermissionError:
            pytest.skip("This kernel lets only root throw a socket's packets away: run the test as root.")
        await meter.wait_for("connections", 1)
        await meter.wait_for("connections", 0)
    assert await meter.figure("connections_closed_total", reason="stalled") == 1


@pytest.mark.parametrize("limit", [1, 20])
async def test_a_page_that_reopens_its_stream_200_times_a_second_is_never_refused(
    start_node: Callable[..., Node], limit: int
) -> None:
    """Over two nodes in turn, whether or not it waits for the stream to open before it closes it."""
    nodes = [start_node(MAX_CONNECTIONS_PER_USER=limit, CONNECT_RATE_PER_S=0) for _ in range(2)]
    for n in range(200):
        async with await RawPeer.ask(nodes[n % 2].base, stream_request(PATH)) as peer:
            if n % 5:
                await peer.read_until(b"stream.open")
    for node in nodes:
        assert await Meter(node).figure("connections_refused_total") == 0
        await Meter(node).wait_for("connections", 0)


async def test_the_place_of_a_client_that_did_not_wait_for_its_job_is_free_at_once(
    start_node: Callable[..., Node], redis_url: str, prefix: str
) -> None:
    node = start_node(MAX_CONNECTIONS_PER_USER=1, CONNECT_RATE_PER_S=0, JOB_WAIT_S=30)
    request = stream_request("/v1/jobs/j1/events")
    for n in range(50):
        async with await RawPeer.ask(node.base, request) as peer:
            if n % 2:
                peer.reset()
    async with AsyncPublisher.from_url(redis_url, prefix=prefix) as publisher:
        async with await RawPeer.ask(node.base, request) as peer:
            await publisher.create_job("j1", kind="k", owner="ann")
            await peer.read_until(b"job.state")
    assert await Meter(node).figure("connections_refused_total") == 0


@alone
async def test_3000_idle_streams_are_served_and_forgotten(
    start_node: Callable[..., Node], redis_url: str, prefix: str
) -> None:
    with more_files(8000):
        node = start_node(**OPEN)
    meter = Meter(node)
    async with AsyncExitStack() as stack, loading(redis_url, prefix, 10) as load:
        peers: list[RawPeer] = []
        for _ in range(30):
            asked = await asyncio.gather(*[RawPeer.ask(node.base, stream_request(PATH)) for _ in range(100)])
            peers += [await stack.enter_async_context(peer) for peer in asked]
        await meter.wait_for("connections", 3000)
        await load.publish(1)
        async with asyncio.timeout(30):
            await asyncio.gather(*[peer.read_until(b'{"n":1') for peer in peers])
        assert node.readyz() == 200
        for peer in peers[::2]:
            peer.reset()
    await meter.wait_for("connections", 0)
    assert await meter.figure("connections_closed_total", reason="client_gone") == 3000


@alone
async def test_nothing_is_left_of_2000_streams_that_were_opened_and_closed(
    start_node: Callable[..., Node], redis_url: str, prefix: str
) -> None:
    """In every way a client can leave, each on a channel and of a user of its own."""
    node = start_node(CONNECT_RATE_PER_S=0, JOB_WAIT_S=1)
    meter = Meter(node)

    async def come_and_go(n: int) -> None:
        path = f"/v1/jobs/missing-{n}/events" if n % 7 == 0 else f"/v1/events?channel=topic:t{n}&channel=client:c{n}"
        async with await RawPeer.ask(node.base, stream_request(path, sub=f"user-{n % 300}")) as peer:
            if n % 3 and n % 7:
                await peer.read_until(b"stream.open")
            if n % 4 == 0:
                peer.reset()
            elif n % 4 == 1:
                peer.half_close()

    async def round_of(numbers: range) -> int:
        for start in numbers[::50]:
            await asyncio.gather(*[come_and_go(n) for n in range(start, start + 50)])
        await meter.wait_for("connections", 0)
        await meter.wait_for("channels", 0)
        return meter.memory()

    first, second = await round_of(range(2000)), await round_of(range(2000, 3000))
    assert await meter.figure("queue_bytes") == 0
    assert await meter.figure("connections_opened_total") == await meter.figure("connections_closed_total") > 1500
    assert await counted(redis_url, prefix) == {}
    assert second < first + 6 * MIB
    assert "Traceback" not in node.log and " error " not in node.log and " warning " not in node.log


@contextmanager
def more_files(count: int) -> Iterator[None]:
    """For this process and those that it starts meanwhile, as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))
    yield


def numbers(source: EventSource) -> list[int]:
    return [event.json()["n"] for event in source.of_type("n")]


def is_number(source: EventSource, number: int) -> bool:
    return source.events[-1].type == "n" and source.events[-1].json()["n"] == number


def has_come_to(source: EventSource, number: int) -> bool:
    """Whether its cursor is at the event of this number, however it got there."""
    return int(source.last_event_id.split(".")[2]) == number


def unbroken(events: list[SseEvent]) -> bool:
    """Whether only a reset comes between two numbers that do not follow each other."""
    here: int | None = 0
    last = 0
    for event in events:
        if event.type == "stream.reset":
            here = None
        elif event.type == "n":
            number = event.json()["n"]
            if number <= last or (here is not None and number != here + 1):
                return False
            here = last = number
    return True

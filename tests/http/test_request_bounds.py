"""Whatever a request consists of, there is a bound on it, and it is over when that is reached."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack

import pytest

from tests.http.api import Api
from tests.support.broker import Broker
from tests.support.http1 import request
from tests.support.meter import Meter
from tests.support.node import Node
from tests.support.raw_peer import RawPeer, stream_request
from tests.support.tokens import token

MIB = 1024 * 1024
MOST = 6 * MIB
"""Bytes after which a node has ended any request: what it reads, what it overlooks, and what the kernels hold."""
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
ANONYMOUS = b"POST /v1/events HTTP/1.1\r\nHost: test\r\n"
UNREAD = b"GET /livez HTTP/1.1\r\nHost: test\r\n"
EVENT = b'{"channel":"topic:bounds","type":"tick","data":1}'
CHUNKED_EVENT = b"%x\r\n%b\r\n0\r\n\r\n" % (len(EVENT), EVENT)


def publisher() -> bytes:
    """The head of somebody who may publish."""
    return ANONYMOUS + f"Authorization: Bearer {token(scope='publish')}\r\n".encode()


@pytest.fixture(scope="module")
def node(broker: Broker) -> Iterator[Node]:
    """A node that nobody else uses: its memory and its log are of these tests alone."""
    with Node(broker.url, "bounds", CONNECT_RATE_PER_S=0, MAX_CONNECTIONS_PER_USER=0) as running:
        yield running
        assert "Traceback" not in running.log and " error " not in running.log and " warning " not in running.log


async def send_until_cut_off(peer: RawPeer, piece: bytes) -> int:
    """Send this again and again; how many bytes it took until the node has ended the connection, or :data:`MOST`."""
    reading = asyncio.create_task(peer.read_to_end())
    sent = 0
    while not reading.done() and sent < MOST:
        await peer.send(piece)
        sent += len(piece)
    reading.cancel()
    return sent


def statuses(answer: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", answer)]


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"", b"1\r\n \r\n" * 2000),
        (b"1;", b"extension" * 2000),
        (b"0\r\n", b"Trailer: x\r\n" * 2000),
        (b"0\r\nTrailer: ", b"x" * 20_000),
        (b"", b"1;a=b\r\n \r\n" * 2000),
    ],
    ids=["chunks of a byte", "an extension", "trailers", "one trailer", "extensions"],
)
@pytest.mark.parametrize(
    ("head", "status"),
    [(publisher, 413), (lambda: ANONYMOUS, 401), (lambda: UNREAD, 200)],
    ids=["read", "refused", "not read"],
)
async def test_a_body_that_is_mostly_framing_is_cut_off(
    node: Node, head: Callable[[], bytes], status: int, start: bytes, piece: bytes
) -> None:
    async with await RawPeer.ask(node.base, head() + CHUNKED + start) as peer:
        assert await send_until_cut_off(peer, piece) < MOST
    assert statuses(peer.received) == [status]


@pytest.mark.parametrize(("head", "status"), [(ANONYMOUS, 401), (UNREAD, 200)], ids=["refused", "not read"])
async def test_a_body_that_nobody_reads_is_cut_off(node: Node, head: bytes, status: int) -> None:
    async with await RawPeer.ask(node.base, head + CHUNKED) as peer:
        assert await send_until_cut_off(peer, b"4000\r\n" + b" " * 16_384 + b"\r\n") < MOST
    assert statuses(peer.received) == [status]


async def test_an_answer_is_not_lost_on_a_client_that_reads_only_when_it_has_sent_everything(node: Node) -> None:
    """Three times what is allowed."""
    async with await RawPeer.ask(node.base, publisher() + b"Content-Length: %d\r\n\r\n" % (3 * MIB)) as peer:
        await peer.send(b" " * (3 * MIB))
        answer = await peer.read_to_end()
    assert statuses(answer) == [413] and b"connection: close" in answer.lower()


@pytest.mark.parametrize(
    "lines", [b"X: a\r\n" * 300, b"A" * 8000 + b": a\r\n" + b"B" * 8000 + b": b\r\n"], ids=["many", "long names"]
)
async def test_a_head_of_too_many_lines_is_answered_with_431(node: Node, lines: bytes) -> None:
    async with await RawPeer.ask(node.base, b"GET /livez HTTP/1.1\r\nHost: test\r\n" + lines * 2 + b"\r\n") as peer:
        assert statuses(await peer.read_to_end()) == [431]


async def test_an_address_of_too_many_parameters_is_answered_with_431(node: Node) -> None:
    async with await RawPeer.ask(node.base, b"GET /livez?" + b"a&" * 5000 + b" HTTP/1.1\r\nHost: test\r\n\r\n") as peer:
        assert statuses(await peer.read_to_end()) == [431]


async def test_a_trailer_is_no_header(node: Node) -> None:
    """It comes when the caller has been let in; nothing may look at it."""
    trailer = b"0\r\nExpect: 100-continue\r\nAuthorization: Bearer x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"
    body = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)
    async with await RawPeer.ask(node.base, publisher() + CHUNKED + body + trailer) as peer:
        assert statuses(await peer.read_until(b"receipts")) == [200]


# Bodies ---


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 17000\r\n\r\n" + b" " * 17_000, CHUNKED + b"4400\r\n" + b" " * 17_408]
)
async def test_a_ticket_needs_no_more_than_16_kib(node: Node, framing: bytes) -> None:
    head = b"POST /v1/tickets HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer " + token().encode() + b"\r\n"
    async with await RawPeer.ask(node.base, head + framing) as peer:
        answer = await peer.read_to_end()
    assert statuses(answer) == [413] and b"16 KiB" in answer


async def test_a_cancel_does_not_wait_for_a_body(node: Node) -> None:
    head = b"POST /v1/jobs/nothing/cancel HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer " + token().encode() + b"\r\n"
    async with await RawPeer.ask(node.base, head + b"Content-Length: 900000\r\n\r\n") as peer:
        assert statuses(await peer.read_until(b"no such job")) == [404]


async def test_nothing_is_kept_of_a_request_that_was_answered(node: Node) -> None:
    """300 idle connections, after heads of 15 kB and bodies of 16 kB."""
    meter = Meter(node)
    async with AsyncExitStack() as stack:
        for _ in range(20):  # what a node loads once, it loads here
            peer = await stack.enter_async_context(await RawPeer.ask(node.base, UNREAD + b"\r\n"))
            await peer.read_until(b"alive")
        before = meter.memory()
        for _ in range(300):
            head = UNREAD + b"X: " + b"x" * 15_000 + b"\r\nContent-Length: 16000\r\n\r\n"
            peer = await stack.enter_async_context(await RawPeer.ask(node.base, head + b"x" * 16_000))
            await peer.read_until(b"alive")
        assert meter.memory() - before < 6 * MIB


LIVEZ = UNREAD + b"\r\n"


async def test_all_bodies_together_have_a_bound(node: Node) -> None:
    """40 of 900 kB that never end: those for which there is no room are told to come back, and nobody else minds."""
    meter, api = Meter(node), Api(node.base)
    await api.call("POST", "/v1/events", body=EVENT, scope="publish")
    before = meter.memory()
    async with AsyncExitStack() as stack:
        head = publisher() + b"Content-Length: 1000000\r\n\r\n"
        peers = [await stack.enter_async_context(await RawPeer.ask(node.base, head)) for _ in range(40)]
        await asyncio.gather(*[peer.send(b" " * 900_000) for peer in peers])
        refused = await asyncio.wait_for(_first_answer(peers), 20)
        assert statuses(refused) == [503] and b"retry-after: " in refused
        assert meter.memory() - before < 64 * MIB
    assert (await api.call("POST", "/v1/events", body=EVENT, scope="publish")).status == 200


async def _first_answer(peers: list[RawPeer]) -> bytes:
    reading = [asyncio.create_task(peer.read_to_end(30)) for peer in peers]
    try:
        done, _ = await asyncio.wait(reading, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for task in reading:
            task.cancel()


# What a client may do ---


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket"])
@pytest.mark.parametrize("body", [b"Content-Length: %d\r\n\r\n" % len(EVENT) + EVENT, CHUNKED + CHUNKED_EVENT])
@pytest.mark.parametrize("piece", [1, 200, 4096])
async def test_a_request_that_offers_another_protocol_keeps_its_body(
    node: Node, protocol: bytes, body: bytes, piece: int
) -> None:
    """Java's HttpClient offers h2c with each first request. The next one on the connection is served as well."""
    head = publisher() + b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAA\r\nUpgrade: %b\r\n" % protocol
    sent = head + body
    async with await RawPeer.connect(node.base) as peer:
        for _ in range(2):
            for start in range(0, len(sent), piece):
                await peer.send(sent[start : start + piece])
            assert statuses(await peer.read_until(b"receipts")) == [200]
            peer.received = b""
        await peer.send(LIVEZ)
        assert statuses(await peer.read_until(b"alive")) == [200]


async def test_what_follows_the_body_of_such_a_request_is_not_served_before_its_answer(node: Node) -> None:
    head = publisher() + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: %d\r\n\r\n" % len(EVENT)
    async with await RawPeer.ask(node.base, head + EVENT + LIVEZ) as peer:
        answer = await peer.read_to_end()
    assert statuses(answer) == [200] and b"receipts" in answer


@pytest.mark.parametrize(
    "length", [b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip\r\n"]
)
async def test_such_a_request_with_an_unclear_length_is_refused(node: Node, length: bytes) -> None:
    head = publisher() + b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + length + b"\r\n"
    async with await RawPeer.ask(node.base, head + b"0\r\n\r\n" + LIVEZ) as peer:
        assert statuses(await peer.read_to_end()) == [400]


def stream() -> bytes:
    """The head of an EventSource, to be gone on with."""
    return stream_request("/v1/events?channel=topic:bounds").removesuffix(b"\r\n")


@pytest.mark.parametrize(
    "pieces",
    [
        (b"", b"0\r\n\r\n"),
        (b"0\r\n", b"\r\n"),
        (b"0\r", b"\n\r", b"\n"),
        (b"0", b"\r\n\r\n"),
        (b"", b"0000", b"0 ;" + b"x" * 100, b"x" * 100, b"\r\n\r\n"),
    ],
    ids=["at once", "its end", "in pieces", "but its digit", "with zeros and an extension"],
)
async def test_the_last_chunk_of_an_empty_body_may_come_late(node: Node, pieces: tuple[bytes, ...]) -> None:
    async with await RawPeer.ask(node.base, stream() + CHUNKED + pieces[0]) as peer:
        await peer.read_until(b"stream.open")
        for piece in pieces[1:]:
            await peer.send(piece)
            assert (await request(node.base, "/livez")).status == 200  # it has been read by now
        await Api(node.base).call("POST", "/v1/events", body=EVENT, scope="publish")
        await peer.read_until(b"event: tick")


@pytest.mark.parametrize(
    "rest", [b"0\r\n\r\n0", b"0\r\n\r\n" + LIVEZ, b"1\r\nx\r\n", b"0\r\nTrailer: x\r\n\r\n", b"0;" + b"x" * 201]
)
async def test_anything_else_ends_such_a_stream(node: Node, rest: bytes) -> None:
    async with await RawPeer.ask(node.base, stream() + CHUNKED) as peer:
        await peer.read_until(b"stream.open")
        await peer.send(rest)
        await peer.read_to_end()
    assert peer.received.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("blank", [b" ", b"\t", b"  \t "])
async def test_blanks_behind_a_cursor_are_not_part_of_it(node: Node, blank: bytes) -> None:
    async with await RawPeer.ask(node.base, stream() + b"\r\n") as peer:
        opened = await peer.read_until(b"stream.open")
    cursor = opened.partition(b"id: ")[2].partition(b"\n")[0]
    async with await RawPeer.ask(node.base, stream() + b"Last-Event-ID: " + cursor + blank + b"\r\n\r\n") as peer:
        assert b'"resumed":true' in (await peer.read_until(b"stream.open")) + await peer.read_until(b"}")
        await Api(node.base).call("POST", "/v1/events", body=EVENT, scope="publish")
        await peer.read_until(b"event: tick")
    assert b"stream.reset" not in peer.received


# Proxies and names ---


@pytest.mark.parametrize("scheme", ["https", "HTTPS", "https,http", "https, http"])
async def test_the_scheme_that_a_proxy_names_is_understood(node: Node, scheme: str) -> None:
    """The page of the node's own origin may use the cookie."""
    headers = {"Cookie": f"sse_token={token('ann')}", "Origin": "https://app.example", "Host": "app.example"}
    body = json.dumps({"channels": ["user:ann"]}).encode()
    for forwarded, status in (({}, 403), ({"X-Forwarded-Proto": scheme}, 200)):
        answer = await request(node.base, "/v1/tickets", method="POST", headers={**headers, **forwarded}, body=body)
        assert answer.status == status

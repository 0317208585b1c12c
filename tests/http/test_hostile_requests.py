"""Requests as no client should send them: each is answered clearly or cut off, in time, and the node does not mind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.http.api import Api
from tests.support.broker import Broker
from tests.support.meter import Meter
from tests.support.node import Node
from tests.support.raw_peer import RawPeer, stream_request
from tests.support.tokens import token

PATH = "/v1/events?channel=topic:a"
LIVEZ = b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n"


def _post() -> bytes:
    return f"POST /v1/events HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {token(scope='publish')}\r\n".encode()


HEADER_LIMIT = 16 * 1024


@pytest.fixture(scope="module")
def node(broker: Broker) -> Iterator[Node]:
    """A node that nobody else uses: its log and its counts are of these tests alone."""
    with Node(broker.url, "hostile", RETRY_MS="1000-1000", CONNECT_RATE_PER_S=0) as running:
        yield running
        assert "Traceback" not in running.log and " error " not in running.log and " warning " not in running.log


@pytest.fixture(autouse=True)
async def goes_on(node: Node) -> None:
    """Whatever was done to it before, the node serves the next one."""
    async with await RawPeer.ask(node.base, LIVEZ) as peer:
        assert (await peer.read_until(b"alive")).startswith(b"HTTP/1.1 200")


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


@pytest.mark.parametrize(
    "request_",
    [
        b"\x00",
        b"HELLO\r\n\r\n",
        b"GET /livez HTTP/9.9\r\n\r\n",
        b"G\x00T /livez HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + b"x" * 200,
        b"CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost test\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: a\x00b\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_answered_with_400_and_the_end(node: Node, request_: bytes) -> None:
    async with await RawPeer.ask(node.base, request_) as peer:
        answer = await peer.read_to_end()
    assert status(answer) == 400
    assert b'"code":"bad_request"' in answer and b"connection: close" in answer


async def test_a_body_of_bad_chunks_is_answered_with_400_and_the_end(node: Node) -> None:
    async with await RawPeer.ask(node.base, _post() + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc") as peer:
        await peer.send(b"de\r\nzz\r\n")
        assert status(await peer.read_to_end()) == 400


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /livez HTTP/1.1\r\nX: " + b"a" * HEADER_LIMIT + b"\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n" + b"X: a\r\n" * (HEADER_LIMIT // 6) + b"\r\n",
        b"GET /" + b"a" * HEADER_LIMIT + b" HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nX: " + b"a" * HEADER_LIMIT,
    ],
    ids=["one", "many", "the address", "without end"],
)
@pytest.mark.parametrize("piece", [4096, 1 << 20], ids=["in pieces", "at once"])
async def test_a_head_of_more_than_16_kib_is_answered_with_431_and_the_end(
    node: Node, request_: bytes, piece: int
) -> None:
    async with await RawPeer.connect(node.base) as peer:
        for start in range(0, len(request_), piece):
            await peer.send(request_[start : start + piece])
            await asyncio.sleep(0)
        assert status(await peer.read_to_end()) == 431


async def test_a_head_just_below_the_limit_is_served(node: Node) -> None:
    request_ = b"GET /livez HTTP/1.1\r\nHost: test\r\nX: " + b"a" * (HEADER_LIMIT - 100) + b"\r\n\r\n"
    async with await RawPeer.ask(node.base, request_) as peer:
        assert status(await peer.read_until(b"alive")) == 200


async def test_half_a_head_is_given_up_after_ten_seconds(node: Node) -> None:
    """Also where it comes drop by drop, or as the second one; who sends nothing at all gets no answer."""

    async def nothing() -> int:
        async with await RawPeer.connect(node.base) as peer:
            return status(await peer.read_to_end())

    async def half() -> int:
        async with await RawPeer.ask(node.base, b"GET /livez HTTP/1.1\r\nHost:") as peer:
            return status(await peer.read_to_end())

    async def drop_by_drop() -> int:
        async with await RawPeer.ask(node.base, b"GET /livez HTTP/1.1\r\n") as peer:
            reading = asyncio.create_task(peer.read_to_end())
            while not (await asyncio.wait([reading], timeout=0.5))[0]:
                await peer.send(b"X: a\r\n")
            return status(reading.result())

    async def second() -> int:
        async with await RawPeer.ask(node.base, LIVEZ) as peer:
            await peer.read_until(b"alive")
            await peer.send(LIVEZ[:20])
            return status((await peer.read_to_end()).partition(b'"alive"}')[2])

    assert [*await asyncio.gather(nothing(), half(), drop_by_drop(), second())] == [0, 408, 408, 408]


async def test_a_request_that_does_not_wait_for_the_last_answer_is_not_served(node: Node) -> None:
    async with await RawPeer.ask(node.base, LIVEZ * 1000) as peer:
        answer = await peer.read_to_end()
    assert answer.count(b"HTTP/1.1") == 1 and b"connection: close" in answer and answer.endswith(b'"alive"}')


async def test_requests_one_after_the_other_share_a_connection(node: Node) -> None:
    """Also after one that asks for another protocol, which is overlooked."""
    upgrade = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: %b\r\n\r\n"
    async with await RawPeer.connect(node.base) as peer:
        for request_ in (LIVEZ, upgrade % b"h2c", upgrade % b"websocket", LIVEZ):
            peer.received = b""
            await peer.send(request_)
            assert status(await peer.read_until(b"alive")) == 200


@pytest.mark.parametrize(
    ("with_request", "later"),
    [(LIVEZ, b""), (b"x", b""), (b"", b"x"), (b"", b"\r\n"), (b"", LIVEZ), (b"", b"x" * 200_000)],
)
async def test_a_client_that_sends_while_it_listens_is_cut_off(node: Node, with_request: bytes, later: bytes) -> None:
    meter = Meter(node)
    before = await meter.figure("connections_closed_total", reason="protocol_error")
    async with await RawPeer.ask(node.base, stream_request(PATH) + with_request) as peer:
        await peer.read_until(b"stream.open")
        if later:
            await peer.send(later)
        await peer.read_to_end()
    await meter.wait_for("connections_closed_total", before + 1, reason="protocol_error")


@pytest.mark.parametrize("already", [0, 200_000])
async def test_the_body_of_a_stream_s_request_ends_the_stream(node: Node, already: int) -> None:
    request_ = stream_request(PATH, headers="Content-Length: 1000000000\r\n") + b"x" * already
    async with await RawPeer.ask(node.base, request_) as peer:
        await peer.read_until(b"stream.open")
        await peer.send(b"x")
        await peer.read_to_end()


async def test_a_body_without_end_is_answered_with_413_and_the_end(node: Node) -> None:
    async with await RawPeer.ask(node.base, _post() + b"Transfer-Encoding: chunked\r\n\r\n") as peer:
        reading = asyncio.create_task(peer.read_to_end())
        chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
        while not reading.done():
            await peer.send(chunk)
        assert status(await reading) == 413


async def test_a_length_of_gigabytes_is_answered_with_413_and_the_end(node: Node) -> None:
    async with await RawPeer.ask(node.base, _post() + b"Content-Length: 5000000000\r\n\r\n") as peer:
        assert status(await peer.read_to_end()) == 413


async def test_the_rest_of_a_body_that_nobody_wants_is_not_awaited_for_long(node: Node) -> None:
    """The call is answered at once, and the connection ended soon, however little is sent however often."""
    request_ = b"GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
    async with await RawPeer.ask(node.base, request_) as peer:
        assert status(await peer.read_until(b"alive")) == 200
        reading = asyncio.create_task(peer.read_to_end())
        while not (await asyncio.wait([reading], timeout=0.2))[0]:
            await peer.send(b"x")


async def test_a_client_of_http_1_0_gets_a_stream_without_chunks(node: Node, api: Api) -> None:
    async with await RawPeer.ask(node.base, stream_request("/v1/clients/old/events", sub="old", version="1.0")) as peer:
        head, _, body = (await peer.read_until(b"stream.open")).partition(b"\r\n\r\n")
        assert b"transfer-encoding" not in head and b"connection: close" in head
        assert body.startswith(b"retry: 1000\nid: ")
        await Api(node.base).call("DELETE", "/v1/clients/old", scope="admin")
        assert (await peer.read_to_end()).endswith(b"\n\n")


async def test_a_client_that_sends_fin_has_left(node: Node) -> None:
    meter = Meter(node)
    async with await RawPeer.ask(node.base, stream_request(PATH)) as peer:
        await peer.read_until(b"stream.open")
        peer.half_close()
        await peer.read_to_end()
        await meter.wait_for("connections", 0)

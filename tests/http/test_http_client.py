"""The client that calls HTTP from here: it ends in time and size whatever the other side does, and tells no secret."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.http_client.client import CallError, CallTimeout, CannotBeSent, HttpClient
from tests.support.ports import HOST, free_port
from tests.support.tokens import token

Answering = Callable[[asyncio.StreamWriter], Awaitable[None]]
LATEST_S = 10
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


@asynccontextmanager
async def server(answer: Answering) -> AsyncIterator[str]:
    """Reads the head of a request and answers as told."""
    serving: set[asyncio.Task[Any]] = set()
    asked = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        asked.set()
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await reader.readuntil(b"\r\n\r\n")
            await answer(writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    listening = await asyncio.start_server(serve, HOST, 0)
    try:
        yield f"http://{HOST}:{listening.sockets[0].getsockname()[1]}/x"
    finally:
        with contextlib.suppress(TimeoutError):  # on a busy machine a caller may have left before it was taken, or come
            await asyncio.wait_for(asked.wait(), LATEST_S)
        listening.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


def sends(*pieces: bytes) -> Answering:
    async def answer(writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
        await writer.drain()

    return answer


def for_ever(head: bytes, piece: bytes, pause_s: float = 0.0) -> Answering:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while not writer.is_closing():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)

    return answer


def pauses(head: bytes, pause_s: float, rest: bytes) -> Answering:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        await writer.drain()
        await asyncio.sleep(pause_s)
        writer.write(rest)
        await writer.drain()

    return answer


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    made = HttpClient()
    yield made
    await made.aclose()


@pytest.mark.parametrize(
    "answer",
    [
        for_ever(b"", b"", 0.01),
        for_ever(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x", 0.01),
        for_ever(OK + b"Content-Length: 1000000\r\n\r\n", b"x", 0.01),
        for_ever(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", 0.01),
    ],
    ids=["silent", "dribbling head", "dribbling body", "dribbling chunks"],
)
async def test_whoever_dribbles_is_left_in_time(client: HttpClient, answer: Answering) -> None:
    async with server(answer) as url:
        with pytest.raises(CallTimeout):
            await client.call(url, timeout_s=1.5, max_bytes=1 << 30)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (for_ever(OK, b"X-More: " + b"y" * 1000 + b"\r\n"), "no HTTP came back"),
        (for_ever(OK + b"\r\n", b"x" * 10_000), "it is larger than 100000 bytes"),
        (for_ever(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"400\r\n" + b"x" * 1024 + b"\r\n"), "it is larger"),
        (sends(b"SSH-2.0-OpenSSH_9\r\n\r\n"), "no HTTP came back"),
        (sends(OK + b"Content-Length: 10\r\n\r\nshort"), "the answer broke off"),
        (sends(), "the answer broke off"),
    ],
    ids=["endless head", "endless body", "endless chunks", "no HTTP", "cut", "nothing"],
)
async def test_what_is_no_answer_is_told_in_own_words(client: HttpClient, answer: Answering, reason: str) -> None:
    async with server(answer) as url:
        with pytest.raises(CallError, match=reason):
            await client.call(url, timeout_s=20, max_bytes=100_000)


async def test_an_answer_comes_as_it_was_sent(client: HttpClient) -> None:
    """No redirect is followed, and nothing is unpacked: a small body cannot become a large one."""
    packed = sends(OK + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8bxx")
    async with server(packed) as url:
        assert (await client.call(url, timeout_s=20, max_bytes=4)).body == b"\x1f\x8bxx"
        away = sends(f"HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n".encode())
        async with server(away) as other:
            reply = await client.call(other, timeout_s=20, max_bytes=4)
    assert (reply.status, reply.headers["location"]) == (302, url)


async def test_neither_errors_nor_the_log_hold_what_was_sent(
    client: HttpClient, caplog: pytest.LogCaptureFixture
) -> None:
    secret = token("ann")
    with caplog.at_level(logging.DEBUG):
        async with server(sends(OK + b"Content-Length: 0\r\n\r\n")) as url:
            headers = {"Authorization": f"Bearer {secret}"}
            await client.call(f"{url}?ticket=hush", headers=headers, timeout_s=20, max_bytes=4)
            with pytest.raises(CannotBeSent) as broken:
                await client.call(url, headers={"Authorization": f"Bearer {secret}\n"}, timeout_s=20, max_bytes=4)
        with pytest.raises(CallError) as refused:
            nobody = f"http://ann:hush@{HOST}:{free_port()}/?ticket=hush"
            await client.call(nobody, headers=headers, timeout_s=20, max_bytes=4)
    assert str(refused.value) == "connection refused"
    for text in (caplog.text, repr(broken.value), repr(refused.value)):
        assert "hush" not in text and secret not in text
    assert broken.value.__cause__ is None and broken.value.__suppress_context__


async def test_a_user_in_the_address_does_not_take_the_place_of_the_token(client: HttpClient) -> None:
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        await sends(OK + b"Content-Length: 0\r\nConnection: close\r\n\r\n")(writer)
        writer.close()

    async with await asyncio.start_server(serve, HOST, 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        url = f"http://ann:pw@{HOST}:{port}/"
        await client.call(url, headers={"Authorization": "Bearer T"}, timeout_s=20, max_bytes=4)
    assert b"\r\nauthorization: bearer t\r\n" in heads[0].lower() and b"Basic" not in heads[0]


async def test_proxies_of_the_environment_count_where_they_are_asked_for_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    async with server(sends(OK + b"Content-Length: 3\r\nConnection: close\r\n\r\nvia")) as proxy:
        monkeypatch.setenv("http_proxy", proxy)
        nobody = f"http://{HOST}:{free_port()}/"
        through, direct = HttpClient(proxies=True), HttpClient()
        assert (await through.call(nobody, timeout_s=20, max_bytes=9)).body == b"via"
        with pytest.raises(CallError, match="connection refused"):
            await direct.call(nobody, timeout_s=20, max_bytes=9)
        await through.aclose()
        await direct.aclose()


async def test_a_call_that_is_cancelled_ends_at_once(client: HttpClient) -> None:
    begun = asyncio.Event()

    async def answer(writer: asyncio.StreamWriter) -> None:
        begun.set()
        await for_ever(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x", 0.01)(writer)

    async with server(answer) as url:
        calling = asyncio.create_task(client.call(url, timeout_s=600, max_bytes=4))
        await begun.wait()
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling


async def test_an_answer_that_goes_on_may_be_silent_for_longer_than_its_head_took(client: HttpClient) -> None:
    async with server(pauses(OK + b"\r\n", 4.0, b"late")) as url:
        incoming = await client.open(url, connect_s=30, head_s=3)
        assert await incoming.chunk(30) == b"late"
        await incoming.aclose()

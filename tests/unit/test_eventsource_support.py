"""The tests' own EventSource behaves like a browser's: against a real server that says exactly what a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from tests.support.eventsource import EventSource, StreamEnded
from tests.support.http1 import request
from tests.support.ports import HOST, refusing_port
from tests.support.waiting import until

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
Answer = Callable[[str, asyncio.StreamWriter], Awaitable[None]]


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@asynccontextmanager
async def server(*answers: Answer) -> AsyncIterator[tuple[str, list[str]]]:
    """A server that answers the first request with the first answer, and so on; and the heads that it got."""
    heads: list[str] = []
    left = iter(answers)
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        try:
            await next(left)(heads[-1], writer)
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, HOST, 0)
    async with listening:
        try:
            yield f"http://{HOST}:{listening.sockets[0].getsockname()[1]}", heads
        finally:
            for writer in writers:  # from Python 3.12 on a server waits for them
                writer.transport.abort()


def says(*parts: bytes) -> Answer:
    async def answer(_: str, writer: asyncio.StreamWriter) -> None:
        writer.write(b"".join(parts))
        await writer.drain()

    return answer


async def test_events_chunks_headers_and_comments_are_recorded() -> None:
    parts = (chunk(b": hi\n\nid: 1\ndata: a"), chunk(b"\n\n"), chunk(b"event: b\ndata: 2\nretry: 7\n\n"))
    async with server(says(HEAD, *parts, chunk(b""))) as (base, _), EventSource(base, "/s") as source:
        assert (await source.next_event()).data == "a"
        assert (await source.next_of_type("b")).last_event_id == "1"
        await source.wait_stopped()
        assert source.status == 200
        assert source.response_headers["content-type"] == "text/event-stream; charset=utf-8"
        assert source.raw_chunks == [b": hi\n\nid: 1\ndata: a", b"\n\n", b"event: b\ndata: 2\nretry: 7\n\n"]
        assert (source.comments, source.retry_ms) == ([" hi"], 7)
        assert source.exchanges[0].ended == "end"
        with pytest.raises(StreamEnded):
            await source.next_event()


async def test_it_sends_the_token_the_headers_and_the_last_event_id_it_was_given() -> None:
    async with server(says(HEAD, chunk(b""))) as (base, heads):
        async with EventSource(base, "/s", token="t.o.k", headers={"X-A": "b"}, last_event_id="c7") as source:
            await source.wait_stopped()
        assert heads[0].startswith("GET /s HTTP/1.1\r\n")
        for line in ("Accept: text/event-stream", "Authorization: Bearer t.o.k", "X-A: b", "Last-Event-ID: c7"):
            assert f"\r\n{line}\r\n" in heads[0]


async def test_after_a_clean_end_and_after_a_break_it_comes_back_with_the_last_id() -> None:
    first = says(HEAD, chunk(b"retry: 1\nid: 1\ndata: a\n\n"), chunk(b""))
    broken = says(HEAD, chunk(b"id: 2\ndata: b\n\nid: 3\ndata: lost"))
    last = says(b"HTTP/1.1 204 No Content\r\n\r\n")
    async with server(first, broken, last) as (base, heads), EventSource(base, "/s", reconnect=True) as source:
        await source.wait_stopped()
    assert [event.data for event in source.events] == ["a", "b"]
    assert "Last-Event-ID" not in heads[0]
    assert "Last-Event-ID: 1\r\n" in heads[1]
    assert "Last-Event-ID: 2\r\n" in heads[2]
    assert [each.status for each in source.exchanges] == [200, 200, 204]


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\n{}", b"HTTP/1.1 204 No Content\r\n\r\n"]
)
async def test_another_status_stops_it_for_good_and_its_body_is_kept(answer: bytes) -> None:
    async with server(says(answer)) as (base, _), EventSource(base, "/s", reconnect=True) as source:
        await source.wait_stopped()
        assert source.status in (503, 204)
        assert source.exchanges[0].body == answer.partition(b"\r\n\r\n")[2]
        assert len(source.exchanges) == 1


async def test_it_goes_round_its_bases_while_some_refuse() -> None:
    with refusing_port() as port:
        dead = f"http://{HOST}:{port}"
        async with (
            server(says(HEAD, chunk(b"data: a\n\n"))) as (base, _),
            EventSource([dead, base], "/s", reconnect=True, default_retry_ms=1) as source,
        ):
            assert (await source.next_event()).data == "a"
            assert [each.base for each in source.exchanges[:2]] == [dead, base]


async def test_a_dropped_connection_is_a_break() -> None:
    async def endless(_: str, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + chunk(b"data: a\n\n"))
        await writer.wait_closed()

    async with server(endless, says(HEAD, chunk(b"data: b\n\n"))) as (base, _):
        async with EventSource(base, "/s", reconnect=True, default_retry_ms=1) as source:
            await source.next_event()
            source.drop()
            assert (await source.next_event()).data == "b"


async def test_a_paused_reader_makes_the_server_wait() -> None:
    stuck = asyncio.Event()

    async def flood(_: str, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD)
        while not stuck.is_set():
            writer.write(chunk(b": " + b"x" * 60_000 + b"\n\n"))
            try:
                await asyncio.wait_for(writer.drain(), 1)
            except TimeoutError:
                stuck.set()
        await writer.drain()
        writer.write(chunk(b"data: done\n\n"))
        await writer.drain()

    async with server(flood) as (base, _), EventSource(base, "/s", receive_buffer=8192) as source:
        source.pause()
        await until(stuck.is_set, "the server to be stuck")
        source.resume()
        assert (await source.next_event()).data == "done"


async def test_a_plain_request_gives_status_headers_and_body() -> None:
    answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nX-A: 1\r\nX-A: 2\r\n\r\n{}"
    async with server(says(answer)) as (base, heads):
        reply = await request(base, "/x", method="POST", body=b"{}")
    assert (reply.status, reply.headers["x-a"], reply.body) == (404, "1, 2", b"{}")
    assert heads[0].startswith("POST /x HTTP/1.1")

"""Opens an event stream the way a browser does and writes down what arrives when. All of the I/O, no judgement."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

from gateway.http_client.client import CallError, CallTimeout, HttpClient, Incoming
from gateway.http_client.sse_reader import StreamEvent, StreamReader, StreamTooLarge

CONNECT_S: Final = 5.0
FIRST_S: Final = 10.0
"""How long the head and the first bytes are waited for, at most; a node sends both at once."""
STREAM: Final = "/v1/events?channel=broadcast"
HEADERS: Final = {
    "Accept": "text/event-stream",
    # What browsers send: a proxy that would compress for them compresses here too.
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Cache-Control": "no-cache",
}


class Arrival(NamedTuple):
    """Bytes that came at once. ``signs`` counts the heartbeats among them."""

    at_s: float
    signs: int


@dataclass
class Watched:
    """A stream as it was seen; times are seconds since the request. ``status`` 0: no head came."""

    place: str
    tls: bool
    wait_s: float
    error: str = ""
    status: int = 0
    http_version: str = ""
    http2: bool | None = None
    """Whether HTTP/2 was offered; None without TLS, where browsers do not ask for it."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    head_s: float = 0.0
    arrivals: list[Arrival] = field(default_factory=list)
    ended_s: float | None = None
    closing: Mapping[str, Any] | None = None
    """The data of ``stream.close``, when the node said goodbye."""


def watch(url: str, token: str, wait_s: float) -> Watched:
    """Watch a stream for ``wait_s`` seconds. ``url`` is the gateway's base, or a stream. Never raises ``OSError``."""
    return asyncio.run(_watch(url, token, wait_s))


async def _watch(url: str, token: str, wait_s: float) -> Watched:
    parts = urlsplit(url)
    seen = Watched(f"{parts.scheme}://{parts.netloc}", parts.scheme == "https", wait_s)
    client = HttpClient()  # by no proxy but those on the way to the address itself
    try:
        if seen.tls:
            seen.http2 = await asyncio.to_thread(_offers_http2, parts)
        await _exchange(seen, client, parts, token)
    except CallError as error:
        seen.error = str(error)
    finally:
        await client.aclose()
    return seen


async def _exchange(seen: Watched, client: HttpClient, parts: SplitResult, token: str) -> None:
    began = time.monotonic()
    headers = {**HEADERS, **({"Authorization": f"Bearer {token}"} if token else {})}
    stream = parts._replace(fragment="").geturl() if parts.path not in ("", "/") else f"{seen.place}{STREAM}"
    incoming = await client.open(stream, headers=headers, connect_s=CONNECT_S, head_s=min(FIRST_S, seen.wait_s))
    try:
        seen.head_s = time.monotonic() - began
        seen.status = incoming.status
        seen.http_version = incoming.http_version
        seen.headers = incoming.headers
        if seen.status == 200 and incoming.content_type == "text/event-stream":
            await _body(seen, incoming, began)
    finally:
        await incoming.aclose()


async def _body(seen: Watched, incoming: Incoming, began: float) -> None:
    signs = _Signs(incoming.headers.get("content-encoding", ""))
    while (left_s := seen.wait_s - (time.monotonic() - began)) > 0:
        try:
            data = await incoming.chunk(left_s if seen.arrivals else min(left_s, FIRST_S))
        except CallTimeout:
            return
        except CallError:
            data = b""
        now_s = time.monotonic() - began
        if not data:
            seen.ended_s = now_s
            seen.closing = signs.closing
            return
        seen.arrivals.append(Arrival(now_s, signs.feed(data)))
        seen.closing = signs.closing


class _Signs:
    """Counts heartbeats in a body, and keeps the node's farewell."""

    def __init__(self, encoding: str) -> None:
        self.closing: Mapping[str, Any] | None = None
        self._decode = _decoder(encoding)
        self._reader: StreamReader | None = StreamReader()
        self._rest = b""

    def feed(self, data: bytes) -> int:
        if self._decode is None or self._reader is None:
            return 1  # in a tongue that is not spoken here: something arrived
        try:
            plain = self._decode(data)
            events = self._reader.feed(plain)
        except (zlib.error, StreamTooLarge):
            self._reader = None
            return 1
        for event in events:
            self.closing = _closing(event) or self.closing
        *lines, self._rest = (self._rest + plain).split(b"\n")
        self._rest = self._rest[:100]
        return sum(line.startswith(b":") for line in lines) + sum(event.type.endswith("heartbeat") for event in events)


def _decoder(encoding: str) -> Callable[[bytes], bytes] | None:
    """How to read the body's encoding; None for one that the standard library does not know."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return bytes
    return zlib.decompressobj(47).decompress if name in ("gzip", "deflate") else None


def _closing(event: StreamEvent) -> Mapping[str, Any] | None:
    if event.type != "stream.close":
        return None
    try:
        data = json.loads(event.data)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _offers_http2(parts: SplitResult) -> bool | None:
    """Whether the other side would speak HTTP/2 with a browser: a handshake of its own, and nothing else. None where
    it fails; the call after it says why."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    address = (parts.hostname or "", parts.port or 443)
    try:
        with socket.create_connection(address, timeout=CONNECT_S) as plain:
            with context.wrap_socket(plain, server_hostname=parts.hostname) as tls:
                return tls.selected_alpn_protocol() == "h2"
    except (OSError, ValueError):
        return None

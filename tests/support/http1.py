"""HTTP/1.1 on a raw socket, as far as an event stream needs it: a request, a head, a body with its chunk borders."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit


@dataclass
class Exchange:
    """One request and what came back, also in part. ``chunks`` are the body's chunks as the server cut them."""

    base: str
    sent_headers: dict[str, str]
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    """Names in lower case; the values of a repeated one are joined with ", "."""
    chunks: list[bytes] = field(default_factory=list)
    ended: str = ""
    """How it ended: "" while open, "end" for a complete body, else what broke it."""

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)


class HttpStream:
    """An open connection with one request on it; read with :meth:`chunks`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, exchange: Exchange) -> None:
        self._reader = reader
        self._writer = writer
        self.exchange = exchange

    @classmethod
    async def open(
        cls,
        exchange: Exchange,
        path: str,
        *,
        method: str = "GET",
        body: bytes = b"",
        receive_buffer: int | None = None,
    ) -> Self:
        """Connect, send the request and read the head of the answer. ``receive_buffer``: SO_RCVBUF in bytes."""
        parts = urlsplit(exchange.base)
        host, port = parts.hostname or "", parts.port or 80
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        try:
            sock.setblocking(False)
            if receive_buffer is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            await asyncio.get_running_loop().sock_connect(sock, (host, port))
            reader, writer = await asyncio.open_connection(sock=sock, limit=max(receive_buffer or 0, 65_536))
        except BaseException:
            sock.close()
            raise
        stream = cls(reader, writer, exchange)
        try:
            headers = {"Host": parts.netloc, **exchange.sent_headers}
            if body:
                headers["Content-Length"] = str(len(body))
            head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
            await writer.drain()
            await stream._read_head()
        except BaseException:
            stream.abort()
            raise
        return stream

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body, chunk by chunk; also kept in ``exchange.chunks``. Raises ``OSError``/``EOFError`` if it breaks."""
        headers = self.exchange.headers
        if headers.get("transfer-encoding", "").lower() == "chunked":
            while size := int((await self._reader.readuntil(b"\r\n")).split(b";")[0], 16):
                chunk = await self._reader.readexactly(size)
                await self._reader.readexactly(2)
                self.exchange.chunks.append(chunk)
                yield chunk
            await self._reader.readexactly(2)
        elif "content-length" in headers:
            chunk = await self._reader.readexactly(int(headers["content-length"]))
            self.exchange.chunks.append(chunk)
            yield chunk
        elif self.exchange.status not in (204, 304):
            while chunk := await self._reader.read(65_536):
                self.exchange.chunks.append(chunk)
                yield chunk

    def abort(self) -> None:
        """Drop the connection without a farewell."""
        self._writer.transport.abort()

    async def _read_head(self) -> None:
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        self.exchange.status = int(lines[0].split(" ", 2)[1])
        for line in lines[1:-2]:
            name, _, value = line.partition(":")
            key, value = name.strip().lower(), value.strip()
            before = self.exchange.headers.get(key)
            self.exchange.headers[key] = value if before is None else f"{before}, {value}"


async def request(
    base: str, path: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes = b""
) -> Exchange:
    """One complete exchange on a connection of its own."""
    exchange = Exchange(base, {"Connection": "close", **(headers or {})})
    stream = await HttpStream.open(exchange, path, method=method, body=body)
    try:
        if method != "HEAD":
            async for _ in stream.chunks():
                pass
        exchange.ended = "end"
    finally:
        stream.abort()
    return exchange

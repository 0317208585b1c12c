"""One stream of the load test, over as many connections as it takes.

It reads its socket itself, and not with ``gateway.http_client``: one process reads tens of thousands of them, and a
client's objects per stream and per chunk would make the load test slower than the node that it measures.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Final, Protocol

import httptools

from gateway.bench.latencies import Latencies
from gateway.bench.ledger import StreamLedger
from gateway.bench.pieces import Notice, Piece, PieceReader, read_text

MAX_EVENT_BYTES: Final = 4 * 1024 * 1024


class ListenerOwner(Protocol):
    """What all listeners share, and whom they tell when a stream ends."""

    reader: PieceReader
    latencies: Latencies
    deliveries: int
    last_delivery: float
    resets: int

    def lost(self, listener: Listener, reason: str) -> None: ...


class Listener(asyncio.Protocol):
    """Counts events as they come. One object serves all connections of its stream, one after the other."""

    def __init__(self, number: int, channel: int, watcher: ListenerOwner) -> None:
        self.number = number
        self.channel = channel
        self.ledger = StreamLedger()
        self.last_id = ""
        self.retry_ms = 3000
        self.tries = 0
        """Connections that were begun."""
        self.started_ns = 0
        self.open = False
        """Whether the node has said ``stream.open`` on the connection that is there now."""
        self.ready = False
        """Whether it has ever said so."""
        self.over = False
        """Whether the node has said not to come back."""
        self._watcher = watcher
        self._resetting = False
        self._transport: asyncio.Transport | None = None
        self._outcome: asyncio.Future[str] | None = None

    def begin(self) -> asyncio.Future[str]:
        """A new connection is about to be made; the result will be empty when the stream is open, else why not."""
        self.tries += 1
        self.started_ns = time.monotonic_ns()
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._text = b""
        self._at_boundary = False
        """Between two chunks, and between two events: what comes next may be read without the parser."""
        self._reason = ""
        self._outcome = asyncio.get_running_loop().create_future()
        return self._outcome

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # asyncio ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # create_connection makes no other kind

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        if self._at_boundary:
            piece = self._watcher.reader.read(data)
            if piece is not None:
                self._take(piece, now)
                return
        self._parse(data, now)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        reason = self._reason or ("cut" if error is None else "broken")
        if self.open:
            self.open = False
            self._watcher.lost(self, reason)
        else:
            self._settle(reason)

    def _settle(self, reason: str) -> None:
        if self._outcome is not None and not self._outcome.done():
            self._outcome.set_result(reason)

    # Events ---

    def _take(self, piece: Piece, now: int) -> None:
        if piece.notices:
            self._take_with_notices(piece)
        elif piece.numbers:
            self._count(piece.numbers, piece.consecutive)
        if piece.numbers:
            self._watcher.deliveries += len(piece.numbers)
            self._watcher.last_delivery = now / 1e9
            self._watcher.latencies.arrived(now, piece.times)
        if piece.last_id:
            self.last_id = piece.last_id

    def _take_with_notices(self, piece: Piece) -> None:
        if piece.retry_ms is not None:
            self.retry_ms = piece.retry_ms
        done = 0
        for notice in piece.notices:
            self._count(piece.numbers[done : notice.before], False)
            done = notice.before
            self._notice(notice)
        self._count(piece.numbers[done:], False)

    def _count(self, numbers: list[int], consecutive: bool) -> None:
        if numbers:
            if self._resetting:
                self._resetting = False
                self.ledger.reset(numbers[0])
            self.ledger.take(numbers, consecutive)

    def _notice(self, notice: Notice) -> None:
        if notice.type == "stream.open" and not self.open:
            self.open = self.ready = True
            self._settle("")
        elif notice.type == "stream.reset":
            self._watcher.resets += 1
            self._resetting = True
        elif notice.type == "stream.close":
            self._reason, self.over = _closing(notice.data)

    # Whatever is not whole chunks with whole events ---

    def _parse(self, data: bytes, now: int) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._give_up("no HTTP")
            return
        text = self._text + b"".join(self._body)
        self._body.clear()
        end = text.rfind(b"\n\n") + 2
        self._text = text[end:] if end > 1 else text
        if len(self._text) > MAX_EVENT_BYTES:
            self._give_up("an endless event")
        # What follows is a boundary again only where this data ended with the end of a chunk.
        self._at_boundary = self._at_boundary and not self._text and data.endswith(b"\r\n")
        if end > 1:
            self._take(read_text(text[:end]), now)

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status != 200:
            self._give_up(f"status {status}")

    def on_chunk_header(self) -> None:
        self._at_boundary = False

    def on_chunk_complete(self) -> None:
        self._at_boundary = True

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self._reason = self._reason or "ended"
        if self._transport is not None:
            self._transport.close()

    def _give_up(self, reason: str) -> None:
        self._reason = reason
        self.close()


def _closing(data: str) -> tuple[str, bool]:
    """(reason, whether it is for good) of a ``stream.close``."""
    try:
        told = json.loads(data)
        return str(told["reason"])[:40], told.get("reconnect") is False
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return "closed", False

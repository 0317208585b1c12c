"""Reads what one read from a socket brought, with as little work as possible. Pure.

All streams of a channel get the same bytes, so a piece is read once and remembered: the next stream that gets the very
same bytes costs one look-up.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from gateway.http_client.sse_reader import StreamReader

EVENT: Final = re.compile(rb'data: \{"n":(\d{1,15}),"t":(\d{1,20})')
"""How the data of every event of the load test begins: its number, and when it was published (monotonic clock, ns)."""
OWN_WORDS: Final = b"event: stream."
MAX_REMEMBERED: Final = 256
MAX_REMEMBERED_BYTES: Final = 32_768


class Notice(NamedTuple):
    """What the node itself says: ``stream.open``, ``stream.reset``, ``stream.close`` …"""

    type: str
    data: str
    before: int
    """How many events of this piece stand before it."""


class Piece(NamedTuple):
    """Whole events, in order."""

    numbers: list[int]
    times: list[int]
    consecutive: bool
    last_id: str
    notices: tuple[Notice, ...] = ()
    retry_ms: int | None = None


def read_text(text: bytes) -> Piece:
    """A piece from the text of whole events."""
    found = EVENT.findall(text)
    numbers = [int(number) for number, _ in found]
    times = [int(time) for _, time in found]
    consecutive = bool(numbers) and numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    notices: tuple[Notice, ...] = ()
    retry_ms = None
    if OWN_WORDS in text:
        notices, retry_ms = _own_words(text)
    return Piece(numbers, times, consecutive, _last_id(text), notices, retry_ms)


def whole_chunks(data: bytes) -> bytes | None:
    """The text in HTTP chunks; None unless these are whole chunks which end where an event ends."""
    parts: list[bytes] = []
    start = 0
    while start < len(data):
        line = data.find(b"\r\n", start, start + 20)
        try:
            size = int(data[start:line], 16) if line > 0 else 0
        except ValueError:
            return None
        end = line + 2 + size
        if not size or data[end : end + 2] != b"\r\n":
            return None
        parts.append(data[line + 2 : end])
        start = end + 2
    text = b"".join(parts)
    return text if text.endswith(b"\n\n") else None


class PieceReader:
    """Reads pieces, and remembers some of them."""

    def __init__(self) -> None:
        self._known: dict[bytes, Piece] = {}

    def read(self, data: bytes) -> Piece | None:
        """The piece in these chunks; None unless they are whole and end where an event ends."""
        piece = self._known.get(data)
        if piece is None:
            text = whole_chunks(data)
            if text is None:
                return None
            piece = read_text(text)
            if not piece.notices and len(data) <= MAX_REMEMBERED_BYTES:
                if len(self._known) >= MAX_REMEMBERED:
                    self._known.clear()
                self._known[data] = piece
        return piece


def _last_id(text: bytes) -> str:
    start = text.rfind(b"\nid: ") + 1
    if not start and not text.startswith(b"id: "):
        return ""
    return text[start + 4 : text.find(b"\n", start)].decode("latin-1")


def _own_words(text: bytes) -> tuple[tuple[Notice, ...], int | None]:
    reader = StreamReader()
    notices: list[Notice] = []
    before = 0
    for event in reader.feed(text):
        if event.type.startswith("stream."):
            notices.append(Notice(event.type, event.data, before))
        elif EVENT.match(f"data: {event.data}".encode()):
            before += 1
    return tuple(notices), reader.retry_ms

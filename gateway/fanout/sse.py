"""Bytes of the SSE format (WHATWG HTML, "Server-sent events") and of HTTP's chunks around them.

A *block* is everything of one event after its ``id:`` line, up to and with the blank line. Blocks are encoded once
and shared by all connections; only the id in front of them may differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

MAX_CHUNK: Final = 16 * 1024
"""Some clients handle each chunk by itself: a chunk ends where an event ends, and is no longer than this
unless a single event is."""

ID: Final = b"id: "
HEARTBEAT: Final = b": heartbeat\n\n"
LAST_CHUNK: Final = b"0\r\n\r\n"
_ODD_BREAKS: Final = tuple((char.encode(), b"\\u%04x" % ord(char)) for char in "\u2028\u2029\u0085")


def json_block(data: Any, event: bytes = b"") -> bytes:
    """One event of JSON data; unnamed where ``event`` is empty."""
    return data_block(orjson.dumps(data), event)


def data_block(data: bytes, event: bytes = b"") -> bytes:
    """One event of JSON text that has no line break in it (compact JSON never has), named or unnamed."""
    if not data.isascii():
        data = _without_odd_breaks(data)
    if event:
        return b"event: %b\ndata: %b\n\n" % (event, data)
    return b"data: %b\n\n" % data


def _without_odd_breaks(data: bytes) -> bytes:
    """Some clients take these three for line breaks as well. In JSON they can stand inside texts only, where an escape
    says the same."""
    for raw, escape in _ODD_BREAKS:
        data = data.replace(raw, escape)
    return data


def retry(milliseconds: int) -> bytes:
    """How long the browser is to wait before it connects again. Joins the event that follows it."""
    return b"retry: %d\n" % milliseconds


def framed(frames: Sequence[bytes]) -> bytes:
    """Complete events as HTTP chunks of at most :data:`MAX_CHUNK` bytes, none of which cuts an event."""
    whole = b"".join(frames)
    if len(whole) <= MAX_CHUNK:
        return chunk(whole) if whole else b""
    out: list[bytes] = []
    group: list[bytes] = []
    size = 0
    for frame in frames:
        if size and size + len(frame) > MAX_CHUNK:
            out.append(chunk(b"".join(group)))
            group, size = [], 0
        group.append(frame)
        size += len(frame)
    if size:
        out.append(chunk(b"".join(group)))
    return b"".join(out)


def chunk(data: bytes) -> bytes:
    """One HTTP chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)

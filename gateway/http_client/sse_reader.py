"""Reads the SSE format: bytes in, events out (WHATWG HTML, "Interpreting an event stream"). Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

MAX_EVENT_BYTES: Final = 64 * 1024 * 1024


class StreamTooLarge(Exception):
    """One event is larger than the reader holds: this is no event stream to follow."""


class StreamEvent(NamedTuple):
    type: str
    data: str
    id: str


class StreamReader:
    """One connection's bytes. ``last_event_id`` and ``retry_ms`` outlive it: hand them to the next reader."""

    def __init__(self, last_event_id: str = "", *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self.last_event_id = last_event_id
        self.retry_ms: int | None = None
        self._buffer = bytearray()
        self._size = 0
        self._begun = False
        self._after_cr = False
        self._reset()

    def feed(self, data: bytes) -> list[StreamEvent]:
        """The events that are complete now. Raises :class:`StreamTooLarge`."""
        self._buffer += data
        events: list[StreamEvent] = []
        while (line := self._next_line()) is not None:
            if line:
                self._field(line)
            else:
                event = self._dispatch()
                if event is not None:
                    events.append(event)
        if self._size + len(self._buffer) > self._max_event_bytes:
            raise StreamTooLarge
        return events

    def _next_line(self) -> bytes | None:
        if self._after_cr and self._buffer:
            self._after_cr = False
            if self._buffer[0] == 10:
                del self._buffer[0]
        newline = self._buffer.find(b"\n")
        end = self._buffer.find(b"\r", 0, newline if newline >= 0 else len(self._buffer))
        end = newline if end < 0 else end
        if end < 0:
            return None
        line = bytes(self._buffer[:end])
        self._after_cr = self._buffer[end] == 13
        del self._buffer[: end + 1]
        if not self._begun:
            self._begun = True
            line = line.removeprefix(b"\xef\xbb\xbf")
        return line

    def _field(self, line: bytes) -> None:
        self._size += len(line)
        name, _, raw = line.partition(b":")
        value = raw.removeprefix(b" ").decode("utf-8", "replace")
        match name:
            case b"data":
                self._data.append(value)
            case b"event":
                self._type = value
            case b"id" if "\0" not in value:
                self._id = value
            case b"retry" if value.isascii() and value.isdigit() and len(value) < 10:
                self.retry_ms = int(value)

    def _dispatch(self) -> StreamEvent | None:
        self.last_event_id = self._id
        event = StreamEvent(self._type or "message", "\n".join(self._data), self._id) if self._data else None
        self._reset()
        return event

    def _reset(self) -> None:
        self._data: list[str] = []
        self._type = ""
        self._id = self.last_event_id
        self._size = 0

"""An incremental parser of ``text/event-stream``, after the WHATWG text (HTML, 9.2.5 and 9.2.6) and nothing else."""

from __future__ import annotations

import codecs
import json
import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

_LINE_END = re.compile(r"\r\n|\r|\n")


class SseEvent(NamedTuple):
    """What a browser would dispatch: ``type`` is "message" where the stream named none."""

    type: str
    data: str
    last_event_id: str

    def json(self) -> Any:
        return json.loads(self.data)


@dataclass
class SseParser:
    """Feed it bytes as they come. A new connection takes a new parser, given the last event id of the old one."""

    last_event_id: str = ""
    """As of the last blank line: what a reconnect would send."""
    retry_ms: int | None = None
    comments: list[str] = field(default_factory=list)
    _id_buffer: str = ""
    _type_buffer: str = ""
    _data_buffer: str = ""
    _line: str = ""
    _after_cr: bool = False
    _at_start: bool = True

    def __post_init__(self) -> None:
        self._id_buffer = self.last_event_id
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, data: bytes) -> list[SseEvent]:
        """The events that these bytes complete. What a stream leaves incomplete at its end is never dispatched."""
        events = (self._process(line) for line in self._lines(self._decoder.decode(data)))
        return [event for event in events if event is not None]

    def _lines(self, text: str) -> list[str]:
        if self._at_start and text:
            self._at_start = False
            text = text.removeprefix("\ufeff")
        if self._after_cr and text:
            text = text.removeprefix("\n")
            self._after_cr = False
        self._after_cr = self._after_cr or text.endswith("\r")
        first, *rest = _LINE_END.split(text)
        parts = [self._line + first, *rest]
        self._line = parts.pop()
        return parts

    def _process(self, line: str) -> SseEvent | None:
        if not line:
            return self._dispatch()
        if line.startswith(":"):
            self.comments.append(line[1:])
            return None
        name, _, value = line.partition(":")
        self._field(name, value.removeprefix(" "))
        return None

    def _field(self, name: str, value: str) -> None:
        if name == "event":
            self._type_buffer = value
        elif name == "data":
            self._data_buffer += value + "\n"
        elif name == "id" and "\0" not in value:
            self._id_buffer = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry_ms = int(value)

    def _dispatch(self) -> SseEvent | None:
        self.last_event_id = self._id_buffer
        type_, data = self._type_buffer, self._data_buffer
        self._type_buffer = self._data_buffer = ""
        if not data:
            return None
        return SseEvent(type_ or "message", data.removesuffix("\n"), self.last_event_id)

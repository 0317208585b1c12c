"""One update: as it is published, as it stands in the history, and as subscribers get it. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, NamedTuple

import orjson

from gateway.fanout import sse
from gateway.mercure.rules import HUB_TYPE
from publisher.envelope import Event

SMALL_BYTES: Final = 2048
_JSON: Final = b',"json":'


class HubUpdate(NamedTuple):
    """``topics``: the topic and its alternates. ``data`` is what subscribers get, as UTF-8."""

    id: str
    topics: tuple[str, ...]
    data: bytes = b""
    private: bool = False
    type: str = ""
    retry: int | None = None

    def block(self) -> bytes:
        """The event, with its id."""
        lines = [b"event: %b" % self.type.encode()] if self.type else []
        if self.retry is not None:
            lines.append(b"retry: %d" % self.retry)
        lines.append(sse.ID + self.id.encode())
        text = self.data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in self.data else self.data
        lines += [b"data: " + line for line in text.split(b"\n")]
        return b"\n".join(lines) + b"\n\n"

    def packed(self) -> bytes:
        """The data of its event in the history: one line of JSON. The id stands in the event's head."""
        fields: dict[str, Any] = {"topics": self.topics, "data": self.data.decode()}
        if self.private:
            fields["private"] = True
        if self.type:
            fields["type"] = self.type
        if self.retry is not None:
            fields["retry"] = self.retry
        return orjson.dumps(fields)


class ReadUpdate(NamedTuple):
    """An update with its block, which all subscribers share. ``native``: it is an event of a native topic."""

    topics: tuple[str, ...]
    private: bool
    block: bytes
    native: bool = False


def read(event: Event) -> ReadUpdate | None:
    """The update of an event in the hub's history; None for what no node and no publisher can have written."""
    if not event.id:
        return None
    return (_read_small if len(event.data) <= SMALL_BYTES else _read_large)(event.id, event.data)


def _read(id: str, data: bytes) -> ReadUpdate | None:
    head, separator, rest = data.partition(_JSON)
    try:
        fields = orjson.loads(head + b"}" if separator else data)
        update = _made(id, fields, rest.removesuffix(b"}") if separator else None)
    except (ValueError, TypeError, AttributeError, KeyError):
        return None
    return None if update is None else ReadUpdate(update.topics, update.private, update.block(), bool(separator))


# An event is looked at once for each selection, and all that one read from Redis brought for one before the next.
_read_small = lru_cache(maxsize=2048)(_read)
_read_large = lru_cache(maxsize=8)(_read)


def _made(id: str, fields: dict[str, Any], json: bytes | None) -> HubUpdate | None:
    topics, type, retry = fields.get("topics"), fields.get("type", ""), fields.get("retry")
    if not isinstance(topics, list) or not topics or not all(isinstance(each, str) for each in topics):
        return None
    if not isinstance(type, str) or "\n" in type or "\r" in type or not isinstance(retry, int | None):
        return None
    if json == b"":
        return None
    if json is not None:  # an event of a native topic: its JSON as it was published
        return HubUpdate(id, tuple(topics), json, type="" if type == HUB_TYPE else type)
    return HubUpdate(id, tuple(topics), fields["data"].encode(), fields.get("private") is True, type, retry)

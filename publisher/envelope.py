"""One event and its bytes: the message that is both the history entry and the announcement.

``1 EPOCH SEQ MARK PREV TIME TYPE[ ID]\\n`` and then the event's JSON data; with trace context
``2 EPOCH SEQ MARK PREV TIME TRACEPARENT TYPE[ ID]\\n``, which is version 2. The data is never parsed on its way
through a node, so that a fan-out costs no JSON work.

``MARK`` is a short random name of the event and ``PREV`` the mark of the event before it: a chain. A reader that
holds (epoch, seq, mark) can tell from the next message alone whether anything is missing between them, also after
a failover that lost the newest events and issued their numbers again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

VERSIONS: Final = (b"1", b"2")
FIELD: Final = b"m"
"""Name of the one field of a history entry; its value is the message."""
NO_MARK: Final = "-"
"""What stands for the mark before the first event."""

_PLACE = (
    r"1 ([A-Za-z]{8}) ([1-9][0-9]{0,15}) ([A-Za-z0-9_-]{6}) (-|[A-Za-z0-9_-]{6})"
    r" (0|[1-9][0-9]{0,15}) ([A-Za-z0-9_.:\-]{1,100})"
)
_HEADER_V1 = re.compile(_PLACE + r"(?: ([^\x00-\x1f\x7f]{1,255}))?")
_HEADER_V1_AS_IT_CAME = re.compile(_PLACE.encode() + rb"\n")
_MESSAGES_AS_THEY_CAME = re.compile(rb"^" + _PLACE.encode() + rb"\n(.+)$", re.MULTILINE)
_HEADER_V2 = re.compile(
    r"2 ([A-Za-z]{8}) ([1-9][0-9]{0,15}) ([A-Za-z0-9_-]{6}) (-|[A-Za-z0-9_-]{6}) (0|[1-9][0-9]{0,15})"
    r" (00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}) ([A-Za-z0-9_.:\-]{1,100})(?: ([^\x00-\x1f\x7f]{1,255}))?"
)


_new = tuple.__new__
"""A crowd that resumes has a hundred thousand events: a named tuple's own constructor takes twice as long."""


class MessageError(ValueError):
    """The bytes are not a message of a version this code can read."""


RawFields = tuple[bytes, bytes, bytes, bytes, bytes, bytes, bytes]
"""Those of :class:`Raw`."""


class Position(NamedTuple):
    """Where a reader of a channel stands: the last event it has. ``epoch`` is empty before the first one."""

    epoch: str
    seq: int
    mark: str


START: Final = Position("", 0, NO_MARK)


class Raw(NamedTuple):
    """An event of version 1 without an id of its own, as its bytes in a message; see :class:`Event`."""

    epoch: bytes
    seq: bytes
    mark: bytes
    prev: bytes
    time: bytes
    type: bytes
    data: bytes

    @property
    def position(self) -> Position:
        epoch, seq, mark = self[:3]
        return _new(Position, (epoch.decode(), int(seq), mark.decode()))

    def follows(self, position: Position) -> bool:
        """As :meth:`Event.follows`; False after :data:`START`, whose epoch nobody knows."""
        epoch, seq, mark = position
        return self.prev == mark.encode() and int(self.seq) == seq + 1 and self.epoch == epoch.encode()

    def event(self, channel: str) -> Event:
        """As :func:`decode` reads it."""
        epoch, seq, mark, prev, time, type_, data = self
        text = epoch.decode(), int(seq), mark.decode(), prev.decode(), int(time), type_.decode()
        return _new(Event, (channel, *text, data, None, None))


class Event(NamedTuple):
    """One event as it travels. ``data`` is JSON text without line breaks; ``time`` is ms since the Unix epoch;
    ``traceparent`` is the W3C trace context that it was published in."""

    channel: str
    epoch: str
    seq: int
    mark: str
    prev: str
    time: int
    type: str
    data: bytes
    id: str | None = None
    traceparent: str | None = None

    @property
    def position(self) -> Position:
        return _new(Position, self[1:4])

    def follows(self, position: Position | Event) -> bool:
        """Whether this is the very next event after ``position``: no gap, no loss, no repetition."""
        return (
            self.seq == position.seq + 1
            and self.prev == position.mark
            and (self.epoch == position.epoch or position == START)
        )


def encode(event: Event) -> bytes:
    """The message of an event, as the publish script builds it (held to it by the golden vectors)."""
    own = f" {event.id}" if event.id else ""
    version, traced = ("2", f" {event.traceparent}") if event.traceparent else ("1", "")
    place = f"{event.epoch} {event.seq} {event.mark} {event.prev} {event.time}"
    header = f"{version} {place}{traced} {event.type}{own}\n"
    return header.encode() + event.data


def decode(channel: str, message: bytes) -> Event:
    """Read a message of the current or the previous version.

    Raises :class:`MessageError` for anything else; the sentence names the remedy.
    """
    header, _, data = message.partition(b"\n")
    try:
        text = header.decode()
    except UnicodeDecodeError:
        raise MessageError(_explain(message)) from None
    trace: str | None = None
    found = _HEADER_V1.fullmatch(text)
    if found is not None:
        epoch, seq, mark, prev, time, type_, own = found.groups()
    else:
        found = _HEADER_V2.fullmatch(text)
        if found is None:
            raise MessageError(_explain(message))
        epoch, seq, mark, prev, time, trace, type_, own = found.groups()
    if not data or b"\n" in data or b"\r" in data:
        raise MessageError("The event's data must be JSON on one line; the publisher must not send line breaks.")
    return _new(Event, (channel, epoch, int(seq), mark, prev, int(time), type_, data, own, trace))


def split(message: bytes) -> Raw | None:
    """What :func:`decode` reads, where nobody needs it in another form than it has; None for what only that reads, or
    refuses. At half its price."""
    found = _HEADER_V1_AS_IT_CAME.match(message)
    if found is None:
        return None
    start = found.end()
    if start == len(message) or message.find(b"\n", start) >= 0 or message.find(b"\r", start) >= 0:
        return None
    return _new(Raw, (*found.groups(), message[start:]))


def split_all(messages: Sequence[bytes]) -> list[RawFields] | None:
    """The fields of :class:`Raw` of each message; None where :func:`split` has no answer for one of them. All are read
    in one go, since a reader who comes back has missed many at once."""
    text = b"\n".join(messages)
    if b"\r" in text or any(message.count(b"\n") != 1 for message in messages):
        return None
    found: list[RawFields] = _MESSAGES_AS_THEY_CAME.findall(text)
    return found if len(found) == len(messages) else None


def _explain(message: bytes) -> str:
    version = message[:8].split(b" ", 1)[0]
    if version.isdigit() and version not in VERSIONS:
        return f"A message of version {version.decode()} arrived; this node reads versions 1 and 2: upgrade it."
    return "A message that is not an event arrived on an event channel; only sse-gateway publishers may write there."

"""Entries of the outbox: what the scripts that count streams have written down to be told. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from gateway.metrics.unreadable import Unreadable
from gateway.presence.topic import JOINED, LEFT, RESET
from publisher import channels
from publisher.channels import PRESENCE
from publisher.envelope import FIELD, MessageError, decode

Number = tuple[int, int]
"""An entry's id, which is its event's own id too; it only grows."""

NONE: Final[Number] = (0, 0)
MAX_AHEAD_MS: Final = 86_400_000
_NUMBER: Final = re.compile(rb"([0-9]{1,20})-([0-9]{1,20})")
_COUNT: Final = re.compile(rb"[0-9]{1,15}")
_TYPES: Final = {b"joined": JOINED, b"left": LEFT, b"reset": RESET}


def number(entry: bytes) -> Number:
    """The number of an entry, (0, 0) for what is none."""
    found = _NUMBER.fullmatch(entry)
    return (int(found[1]), int(found[2])) if found else NONE


def event(entry: bytes, fields: object) -> dict[str, Any] | None:
    """The event that an entry asks for, or None where it cannot be read."""
    if not isinstance(fields, dict):
        return None
    kind = _TYPES.get(fields.get(b"t", b""))
    data = {} if kind == RESET else _who(fields)
    if kind is None or data is None:
        return None
    return {"channel": PRESENCE, "id": entry.decode(), "type": kind, "data": data}


def _who(fields: dict[bytes, bytes]) -> dict[str, Any] | None:
    count = fields.get(b"n", b"")
    try:
        client_id = channels.check_id(fields.get(b"c", b"").decode())
    except ValueError:
        return None
    return {"client_id": client_id, "connections": int(count)} if _COUNT.fullmatch(count) else None


def last_told(rows: Iterable[tuple[bytes, object]], unreadable: Unreadable) -> Number:
    """The number of the newest entry that is among these rows of the topic's history, newest first.

    Whoever can write to Redis can put anything there: a number far ahead of the time of its event is not believed, as
    nothing would ever be told after it.
    """
    for _, fields in rows:
        try:
            told = decode(PRESENCE, fields[FIELD] if isinstance(fields, dict) else b"")
        except (MessageError, KeyError) as error:
            unreadable.note("message", why=str(error) if isinstance(error, MessageError) else "")
            continue
        found = number(told.id.encode()) if told.id is not None else NONE
        if told.type in _TYPES.values() and 0 < found[0] <= told.time + MAX_AHEAD_MS:
            return found
    return NONE

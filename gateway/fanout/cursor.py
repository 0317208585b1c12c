"""The cursor: what ``id:`` carries and ``Last-Event-ID`` brings back.

One part per channel of the connection, ``TAG.EPOCH.SEQ.MARK``, joined by commas; the tag names the channel. A cursor
grants nothing: it only says how far its bearer had read, and the channels to read come from the request. Any text may
come back from outside, so parsing never fails; what it cannot read is simply not there.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from publisher.envelope import NO_MARK, START, Event, Position

MAX_LENGTH: Final = 4096
"""32 channels need about 1,400 characters."""

UNKNOWN: Final = Position("", 0, "?")
"""The place of a client that is being reset: a cursor from here is no position, so that who is cut off before the state
has arrived is reset again."""

REST: Final = b"*"
"""In the cursor of an event: the channels that no other part names are empty. Most streams of a client's own channel
and the broadcast are like that, and share their id lines so."""

UNTOLD: Final = b"~"
"""Ends the part of a channel whose state is on its way to the client but has not arrived: who comes back with such a
cursor is told the state before it goes on from the position."""

_PART = re.compile(r"([A-Za-z0-9_-]{8})\.([A-Za-z]{8})\.([1-9][0-9]{0,15})\.([A-Za-z0-9_-]{6})~?")
_START_PART = re.compile(r"([A-Za-z0-9_-]{8})\.0~?")


@lru_cache(maxsize=4096)
def tag(channel: str) -> str:
    """The eight characters that stand for a channel in a cursor."""
    return urlsafe_b64encode(blake2b(channel.encode(), digest_size=6).digest()).decode()


def part(channel_tag: str, position: Position) -> bytes:
    """The part of one channel."""
    if position.mark == NO_MARK:
        return f"{channel_tag}.0".encode()
    if position == UNKNOWN:
        return f"{channel_tag}.-".encode()
    return _joined(channel_tag, position)


def event_part(channel_tag: str, event: Event) -> bytes:
    """The part of a channel whose newest event this is."""
    return _joined(channel_tag, event)


def event_parts(channel_tag: str, events: Iterable[Event]) -> list[bytes]:
    """The same for each of several."""
    return [f"{channel_tag}.{event.epoch}.{event.seq}.{event.mark}".encode() for event in events]


def _joined(channel_tag: str, place: Position | Event) -> bytes:
    return f"{channel_tag}.{place.epoch}.{place.seq}.{place.mark}".encode()


def parse(text: str) -> dict[str, Position]:
    """Positions by channel tag. Whatever is not a part is left out; nothing is ever raised."""
    positions: dict[str, Position] = {}
    for piece in text[:MAX_LENGTH].split(","):
        found = _PART.fullmatch(piece)
        if found:
            positions[found[1]] = Position(found[2], int(found[3]), found[4])
        elif start := _START_PART.fullmatch(piece):
            positions[start[1]] = START
    return positions


def places(text: str, tags: Iterable[str]) -> dict[str, Position]:
    """Positions of the channels with these tags; of those that nothing is said of, none is there.

    :data:`REST` counts beside parts of these channels alone: what comes from another stream says nothing.
    """
    positions, tags, named, rest = parse(text), frozenset(tags), tags_in(text), REST.decode()
    if rest in named and len(named) > 1 and named <= tags | {rest}:
        return dict.fromkeys(tags - named, START) | positions
    return positions


def tags_in(text: str) -> frozenset[str]:
    """Tags of the channels that a cursor is from, also of those whose place it cannot say."""
    return frozenset(piece[:8] for piece in text[:MAX_LENGTH].split(","))


def untold(text: str) -> frozenset[str]:
    """Tags of the channels whose state had not reached the bearer."""
    if UNTOLD.decode() not in text:
        return frozenset()
    return frozenset(piece[:8] for piece in text[:MAX_LENGTH].split(",") if piece.endswith("~"))

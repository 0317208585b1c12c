"""What nodes tell each other about whom to send away, and what they keep of it in Redis: taken apart. Pure.

Whoever can write to Redis can put anything there, so whatever no node would have written is told apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import orjson

MAX_AHEAD_S: Final = 86_400
"""A moment further ahead of Redis' clock than this is none that a node has written: it would never be outdated."""
MAX_SUBJECT_BYTES: Final = 4_096
MAX_NAME: Final = 40


class Order(NamedTuple):
    """End this subject's streams. ``revoked`` is the Unix second until which its tokens are refused, 0 without one;
    ``at`` is when it was given, in ms since the Unix epoch, 0 where an older node does not say so."""

    subject: str
    revoked: int
    at: int


class Ask(NamedTuple):
    """Somebody finds the orders gone: put back what is known, and answer with the same name."""

    name: str


class Known(NamedTuple):
    """The answer: what that node knew is in Redis."""

    name: str


class Rows(NamedTuple):
    """``good`` are subjects with their moments, ``bad`` members that no node has written."""

    good: list[tuple[str, int]]
    bad: list[bytes]


def read_message(message: bytes, latest: float) -> Order | Ask | Known | None:
    """What a message says, None where it says nothing; ``latest`` is the last second that is believed."""
    try:
        found = orjson.loads(message)
    except ValueError:
        return None
    if not isinstance(found, dict):
        return None
    for word, kind in (("ask", Ask), ("known", Known)):
        name = found.get(word)
        if isinstance(name, str) and 0 < len(name) <= MAX_NAME:
            return kind(name)
    subject, revoked, at = found.get("disconnect"), found.get("revoked"), found.get("at", 0)
    if not isinstance(subject, str) or not subject or type(revoked) is not int or type(at) is not int:
        return None
    return Order(subject, revoked, at) if 0 <= revoked <= latest and 0 <= at <= latest * 1000 else None


def read_rows(page: Iterable[tuple[Any, Any]], latest: float) -> Rows:
    """Members of a sorted set with their scores."""
    rows = Rows([], [])
    for member, score in page:
        subject = _subject(member)
        if subject is None or not isinstance(score, int | float) or not 0 < score <= latest:
            rows.bad.append(member)
        else:
            rows.good.append((subject, int(score)))
    return rows


def _subject(member: object) -> str | None:
    if not isinstance(member, bytes) or not 0 < len(member) <= MAX_SUBJECT_BYTES:
        return None
    try:
        return member.decode()
    except UnicodeDecodeError:
        return None

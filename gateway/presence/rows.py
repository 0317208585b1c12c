"""What other nodes count, as Redis holds it: taken apart, and passed over where it makes no sense. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from gateway.broker.store import ReplyError
from gateway.metrics.unreadable import Unreadable
from gateway.presence.delivered import Delivered
from publisher import channels

_COUNT: Final = re.compile(rb"[0-9]{1,15}")


class NodeFigures(NamedTuple):
    """One node. ``connections`` are all its streams, ``client_streams`` those that listen to a client's channel;
    ``started_at`` is in ms since the Unix epoch."""

    id: str
    connections: int
    client_streams: int
    clients: int
    channels: int
    started_at: int
    version: str
    draining: bool
    delivered: Delivered


class Grants(NamedTuple):
    """What the counting script answers: who is let in, whether there is something to tell, when to come again, and
    where to go on with the sweep ("" where there was none)."""

    granted: list[bool]
    is_news: bool
    lease_left_ms: int
    swept_to: str


def grants(reply: Any, asked: int) -> Grants:
    """``asked`` is how many streams wait for an answer. Raises :class:`ReplyError`."""
    try:
        granted, is_news, left, cursor = reply
        swept_to = str(int(cursor)) if cursor else ""
        answer = Grants([bool(yes) for yes in granted], bool(is_news), int(left), swept_to)
    except (ValueError, TypeError, OverflowError):
        raise ReplyError("Redis gave no answer about streams that come and go.") from None
    if len(answer.granted) != asked:
        raise ReplyError("Redis answered for another number of streams than asked.")
    return answer


def count(value: object, unreadable: Unreadable) -> int:
    """A number that a node wrote; 0 for none, and for what is no number."""
    if value is None:
        return 0
    if isinstance(value, bytes) and _COUNT.fullmatch(value):
        return int(value)
    unreadable.note("presence")
    return 0


def node_id(value: object, unreadable: Unreadable) -> str | None:
    """The id of a node, or None for what cannot be one."""
    name = _name(value)
    if name is None:
        unreadable.note("presence")
    return name


def figures(row: Any, unreadable: Unreadable) -> NodeFigures | None:
    """A row of the census about one node, or None where that is no node."""
    try:
        raw_id, *counts, version, draining, delivered = row
        streams, client_streams, clients, channel_count, started_at = counts
    except (ValueError, TypeError):
        unreadable.note("presence")
        return None
    name = node_id(raw_id, unreadable)
    if name is None:
        return None
    return NodeFigures(
        id=name,
        connections=count(streams, unreadable),
        client_streams=count(client_streams, unreadable),
        clients=count(clients, unreadable),
        channels=count(channel_count, unreadable),
        started_at=count(started_at, unreadable),
        version=_version(version),
        draining=draining == b"1",
        delivered=Delivered.parse(delivered),
    )


def counts(found: Mapping[Any, Any], start: str, unreadable: Unreadable) -> dict[str, int]:
    """Fields of a node's hash and their counts; ``start`` is what each begins with before a channel or an id."""
    read: dict[str, int] = {}
    for raw_field, value in found.items():
        field = raw_field.decode(errors="replace") if isinstance(raw_field, bytes) else ""
        number = count(value, unreadable)
        if number and _is_channel(field.removeprefix("ch:")) and field.startswith(start):
            read[field] = number
        elif number:
            unreadable.note("presence")
    return read


def _is_channel(name: str) -> bool:
    try:
        channels.check_channel(name)
    except ValueError:
        return False
    return True


def _name(value: object) -> str | None:
    try:
        return channels.check_id(value.decode() if isinstance(value, bytes) else value)
    except ValueError:
        return None


def _version(value: object) -> str:
    return value.decode(errors="replace")[:100] if isinstance(value, bytes) else ""

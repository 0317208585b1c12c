"""Whose job it is may change while somebody watches: Redis lost the job, and its id was taken for another one. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from gateway.access import UNKNOWN, Owner
from publisher import channels as names
from publisher.envelope import Event


def new_owners(events: Iterable[Event]) -> list[Owner]:
    """The owners of the jobs that these events have created; nothing for most events there are."""
    return [_owner(event) for event in events if event.type == names.CREATED]


def _owner(event: Event) -> Owner:
    try:
        owner = orjson.loads(event.data)["owner"]
    except (orjson.JSONDecodeError, TypeError, KeyError):
        return UNKNOWN
    return owner if owner is None or isinstance(owner, str) else UNKNOWN

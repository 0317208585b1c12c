"""Whose job it is may change while somebody watches: Redis lost the job, and its id was taken for another one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final, Literal

import orjson

from gateway.fanout.raw_page import RawPage
from publisher import channels as names
from publisher.envelope import Event


class Unknown(Enum):
    """Stands for the owner of a job that nobody has looked up, or that is not there."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN
Owner = str | None | Literal[Unknown.UNKNOWN]


def new_owners(events: Sequence[Event]) -> list[Owner]:
    """The owners of the jobs that these events have created; nothing for most events there are."""
    if isinstance(events, RawPage):
        return [_owner(event) for event in events.of_type(names.CREATED)]
    return [_owner(event) for event in events if event.type == names.CREATED]


def _owner(event: Event) -> Owner:
    try:
        owner = orjson.loads(event.data)["owner"]
    except (orjson.JSONDecodeError, TypeError, KeyError):
        return UNKNOWN
    return owner if owner is None or isinstance(owner, str) else UNKNOWN

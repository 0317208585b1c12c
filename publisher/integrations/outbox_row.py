"""A row of the outbox as the relay reads it, and the event that it stands for. No I/O."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import orjson

from publisher.core.drafts import draft
from publisher.core.options import Options
from publisher.jsontext import check_integers

MAX_WORDS: Final = 500


class OutboxRow(NamedTuple):
    """``data`` is JSON text, None where it is longer than ``size`` may be (characters)."""

    id: int
    channel: Any
    type: Any
    data: Any
    size: int | None
    event_id: Any
    uid: Any


class Sorted(NamedTuple):
    """What can be published, in the order of the rows, and by row id why the others cannot."""

    events: list[dict[str, Any]]
    refused: dict[int, str]


def sort(options: Options, table: str, rows: list[OutboxRow]) -> Sorted:
    """Check rows as ``publish()`` would check their events: somebody may have written them by hand."""
    found = Sorted([], {})
    for row in rows:
        try:
            found.events.append(event_of(options, table, row))
        except ValueError as error:
            found.refused[row.id] = str(error)[:MAX_WORDS]
    return found


def event_of(options: Options, table: str, row: OutboxRow) -> dict[str, Any]:
    """The event. Its id is the caller's own, else the row's, so that publishing it again adds nothing. Raises
    ``ValueError``."""
    if row.data is None:
        raise ValueError(
            f"The data has {row.size or 0} characters; at most {options.max_event_bytes} bytes are allowed."
            if row.size
            else "The row has no data."
        )
    data = orjson.loads(row.data)
    check_integers(row.data.encode() if isinstance(row.data, str) else bytes(row.data), "data")
    id = row.event_id if row.event_id is not None else f"outbox-{row.uid or table}-{row.id}"
    draft(options, row.channel, row.type, data, id)
    return {"channel": row.channel, "type": row.type, "data": data, "id": id}

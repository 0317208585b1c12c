"""Plain events on their way out: checked, and as the call that publishes one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from publisher import channels, jsontext
from publisher.core import tracing
from publisher.core.identity import new_names
from publisher.core.options import Options
from publisher.core.requests import Call
from publisher.core.scripts import PUBLISH_RETRY, PublishArgs, ScriptName
from publisher.keys import channel_keys

EVENT_FIELDS: Final = ("channel", "type", "data", "id", "traceparent")


class Destination(NamedTuple):
    """A checked channel's keys, in the order that the scripts want them."""

    keys: tuple[str, ...]
    pubsub: str


@lru_cache(maxsize=4096)
def destination(prefix: str, channel: str, db: int) -> Destination:
    """The keys of a channel in this database, with a job's state last. Raises ``ValueError`` for a bad channel."""
    checked = channels.check_channel(channel)
    keys = channel_keys(prefix, checked, db)
    log = (keys.log, keys.meta, keys.ids0, keys.ids1)
    return Destination((*log, keys.state) if channels.job_id_of(checked) else log, keys.pubsub)


@dataclass(slots=True)
class Draft:
    """A checked event that has no number yet. ``tried`` is set once a call with it may have reached Redis."""

    channel: str
    type: str
    data: bytes
    id: str = ""
    must_exist: bool = False
    uid: str = ""
    epoch: str = ""
    tried: bool = False
    traceparent: str = ""

    def __post_init__(self) -> None:
        if not self.uid or not self.epoch:
            epoch, (uid,) = new_names()
            self.uid, self.epoch = self.uid or uid, self.epoch or epoch

    def call(self, options: Options) -> Call:
        keys, pubsub = destination(options.prefix, self.channel, options.db)
        args = PublishArgs(
            options.announce,
            pubsub,
            options.history_events,
            options.history_ttl_s,
            self.uid,
            "1" if self.tried else "0",
            self.epoch,
            self.id,
            self.type,
            self.data,
            "1" if self.must_exist else "0",
            self.traceparent,
        )
        return Call(ScriptName.PUBLISH, keys, args.sent(), PUBLISH_RETRY)


def draft(
    options: Options, channel: object, type: object, data: object, id: object = None, traceparent: object = None
) -> Draft:
    """Check an event of the user's. Raises ``ValueError`` (:class:`EventTooLarge` among them)."""
    name = channels.plain(channel) if isinstance(channel, str) else channels.check_channel(channel)
    destination(options.prefix, name, options.db)
    checked_type = channels.check_own_type(type)
    body = jsontext.dump(data)
    jsontext.check_size(len(body), options.max_event_bytes)
    made = Draft(name, checked_type, body, "" if id is None else channels.check_own_id(id))
    if traceparent is not None:
        made.traceparent = tracing.check(traceparent)
    return made


def drafts(options: Options, events: Iterable[object]) -> list[Draft]:
    """Check a list of events: tuples ``(channel, type, data)`` or dicts. An error names the index."""
    return [_indexed(options, index, event) for index, event in enumerate(events)]


def _indexed(options: Options, index: int, event: object) -> Draft:
    try:
        return _one_of_many(options, event)
    except ValueError as error:
        # The type of the error is part of what a caller may catch, so the index goes into the same one.
        error.args = (*error.args[:-1], f"Event {index}: {error}")
        raise


def _one_of_many(options: Options, event: object) -> Draft:
    if isinstance(event, Mapping):
        unknown = [str(name) for name in event if name not in EVENT_FIELDS]
        missing = [name for name in ("channel", "type", "data") if name not in event]
        if unknown or missing:
            wrong = f"{', '.join(missing)} missing" if missing else f"{', '.join(unknown)} unknown"
            raise ValueError(f"An event has channel, type, data and perhaps id and traceparent; {wrong}.")
        given = event.get("id"), event.get("traceparent")
        return draft(options, event["channel"], event["type"], event["data"], *given)
    if isinstance(event, tuple | list) and len(event) == 3:
        return draft(options, *event)
    raise ValueError(
        "An event is a tuple (channel, type, data) or a dict with channel, type, data and perhaps id and traceparent."
    )

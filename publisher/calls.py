"""Script calls: events and job steps as KEYS and ARGV, and replies as values. Pure; validates everything.

``docs/reference/wire-format.md`` describes the same for other languages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

from publisher import channels, jsontext, scripts, tracing
from publisher.exceptions import JobError, JobNotFound, finished
from publisher.identity import new_epoch, new_names, new_uid
from publisher.options import Options
from publisher.scripts import Script

_PUBLISH_RETRY_AT = 5
_JOB_RETRY_AT = 6

EVENT_FIELDS: Final = ("channel", "type", "data", "id", "traceparent")

Reply: TypeAlias = Sequence[Any]


class Receipt(NamedTuple):
    """Where an event is: its channel, the channel's epoch, and its number there."""

    channel: str
    epoch: str
    seq: int


class Call(NamedTuple):
    """One script call. Repeating it with :meth:`again` appends nothing that is there already."""

    script: Script
    keys: tuple[str, ...]
    args: tuple[str | bytes | int, ...]
    retry_at: int

    def again(self) -> Call:
        """The same call, marked as a repetition; one that has no place for the mark only reads."""
        if self.retry_at < 0:
            return self
        args = self.args
        return self._replace(args=(*args[: self.retry_at], "1", *args[self.retry_at + 1 :]))


class ReadState(NamedTuple):
    """Read a job's state hash (``field is None``) or one field of it."""

    key: str
    field: str | None = None


class Read(NamedTuple):
    """A command that only reads."""

    command: tuple[str | int, ...]


Request: TypeAlias = Call | ReadState | Read


def what(request: Request) -> str:
    """A request in an error's words."""
    return "A job's step" if isinstance(request, Call) and request.retry_at >= 0 else "A read"


class Target(NamedTuple):
    """A checked channel's keys, in the order that the scripts want them."""

    keys: tuple[str, ...]
    pubsub: str


@lru_cache(maxsize=4096)
def target(prefix: str, channel: str) -> Target:
    """The keys of a channel, with a job's state last. Raises ``ValueError`` for a bad channel."""
    checked = channels.check_channel(channel)
    keys = channels.keys(prefix, checked)
    log = (keys.log, keys.meta, keys.ids0, keys.ids1)
    return Target((*log, keys.state) if channels.job_id_of(checked) else log, keys.pubsub)


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
            uid, epoch = new_names()
            self.uid, self.epoch = self.uid or uid, self.epoch or epoch

    def call(self, options: Options) -> Call:
        keys, pubsub = target(options.prefix, self.channel)
        args: tuple[str | bytes | int, ...] = (
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
        )
        if self.traceparent:
            args = (*args, self.traceparent)
        return Call(scripts.PUBLISH, keys, args, _PUBLISH_RETRY_AT)


def draft(
    options: Options, channel: object, type: object, data: object, id: object = None, traceparent: object = None
) -> Draft:
    """Check an event of the user's. Raises ``ValueError`` (:class:`EventTooLarge` among them)."""
    name = channel if isinstance(channel, str) else channels.check_channel(channel)
    target(options.prefix, name)
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
        error.args = (f"Event {index}: {error}",)
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


@dataclass(slots=True)
class Step:
    """One checked step in a job's life. ``changes`` are state fields as JSON text."""

    op: str
    job_id: str
    owner: str | None = None
    changes: dict[str, bytes] = field(default_factory=dict)
    item_id: str = ""
    uid1: str = field(default_factory=new_uid)
    uid2: str = field(default_factory=new_uid)
    epoch: str = field(default_factory=new_epoch)
    tried: bool = False
    traceparent: str = ""

    @property
    def ends(self) -> bool:
        """Whether the job is over after this step."""
        return self.op in ("complete", "fail", "cancel")

    def call(self, options: Options) -> Call:
        """The call for the job's own slot and, outside Cluster, for its owner's too."""
        keys, pubsub = target(options.prefix, channels.job_channel(self.job_id))
        owner_pubsub = ""
        if self.owner is not None and not options.cluster:
            theirs = channels.keys(options.prefix, channels.user_channel(self.owner))
            keys = (*keys, *_owner_keys(theirs))
            owner_pubsub = theirs.pubsub
        args = (
            options.announce,
            pubsub,
            options.history_events,
            options.history_ttl_s,
            self.uid1,
            self.uid2,
            "1" if self.tried else "0",
            self.epoch,
            self.op,
            self.job_id,
            jsontext.dump(self.job_id),
            "" if self.owner is None else jsontext.dump(self.owner),
            owner_pubsub,
            self.item_id,
            jsontext.dump(self.item_id),
            self.traceparent,
            *(part for pair in self.changes.items() for part in pair),
        )
        return Call(scripts.JOB, keys, args, _JOB_RETRY_AT)


def _owner_keys(keys: channels.Keys) -> tuple[str, ...]:
    return (keys.log, keys.meta, keys.ids0, keys.ids1, keys.jobs, keys.active)


class Told(NamedTuple):
    """An event that a job step made: what its owner's channel in another slot still has to be told."""

    uid: str
    type: str
    data: bytes


def owner_calls(options: Options, step: Step, told: Sequence[Told], *, retry: bool) -> list[Call]:
    """Cluster: the second half of a step, in the owner's slot."""
    if not options.cluster or step.owner is None:
        return []
    keys = channels.keys(options.prefix, channels.user_channel(step.owner))
    head = (options.announce, keys.pubsub, options.history_events, options.history_ttl_s)
    again = "1" if retry else "0"
    return [
        Call(
            scripts.OWNER,
            _owner_keys(keys),
            (
                *head,
                event.uid,
                again,
                step.epoch,
                step.job_id,
                event.type,
                event.data,
                "1" if event.type in channels.TERMINAL_TYPES else "0",
                step.traceparent,
            ),
            _PUBLISH_RETRY_AT,
        )
        for event in told
        if event.type != channels.ITEM
    ]


class Answer(NamedTuple):
    """What a script said. ``detail`` is the job's status, owner or kind, after the verdict."""

    verdict: str
    epoch: str = ""
    seq: int = 0
    detail: str | None = None
    told: tuple[Told, ...] = ()


def read(reply: Reply) -> Answer:
    """A script's reply as a value."""
    verdict = _text(reply[0])
    if verdict == "ok":
        detail = _plain(reply[3]) if len(reply) > 3 else None
        return Answer(verdict, _text(reply[1]), int(reply[2]), detail, _told(reply[4:]))
    return Answer(verdict, detail=_plain(reply[1]) if len(reply) > 1 else None)


def _told(rest: Reply) -> tuple[Told, ...]:
    return tuple(Told(_text(rest[n]), _text(rest[n + 1]), rest[n + 2]) for n in range(0, len(rest), 3))


def _plain(value: bytes) -> str | None:
    found = jsontext.load(value) if value else None
    return found if isinstance(found, str) else None


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def receipt(event: Draft, reply: Reply) -> Receipt:
    """The receipt of a published event. Raises :class:`JobFinished` where its job has ended."""
    if reply[0] == b"ok":
        return Receipt(event.channel, reply[1].decode(), reply[2])
    job_id = channels.job_id_of(event.channel) or ""
    answer = read(reply)
    if answer.verdict == "missing":
        raise JobNotFound(job_id)
    raise finished(job_id, answer.detail or "finished")


def receipts(events: Sequence[Draft], replies: Sequence[Reply]) -> list[Receipt | None]:
    """The receipts of a list. Raises :class:`JobFinished` that names the first event whose job has ended."""
    found: list[Receipt | None] = []
    for index, (event, reply) in enumerate(zip(events, replies, strict=True)):
        try:
            found.append(receipt(event, reply))
        except JobError as error:
            error.args = (f"Event {index}: {error} The rest of the list was published.",)
            raise
    return found

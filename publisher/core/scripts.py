"""The scripts that a publisher calls, and what stands where in their KEYS and ARGV: written here once, for those who
build a call and for those who take one apart. The Lua files say the same in their heads.
"""

from __future__ import annotations

from enum import StrEnum
from operator import itemgetter
from typing import Final, NamedTuple, TypeAlias

Arg: TypeAlias = str | bytes | int


class ScriptName(StrEnum):
    """One script; ``publisher.redis.scripts`` has its source."""

    PUBLISH = "publish"
    PUBLISH_MANY = "publish_many"
    JOB = "job"
    OWNER = "owner"
    LEASE = "lease"
    NODES = "nodes"
    POLL = "poll"
    POLL_WATCH = "poll_watch"
    ANSWER = "answer"
    ANSWER_MANY = "answer_many"
    CHAT = "chat"
    HUB = "hub"


class PublishArgs(NamedTuple):
    """ARGV of ``publish``. ``traceparent`` is left away where there is none; ``must_exist``: the job has to be."""

    announce: str
    pubsub: str
    history_events: int
    history_ttl_s: int
    uid: str
    retry: str
    epoch: str
    id: str
    type: str
    data: bytes
    must_exist: str
    traceparent: str = ""

    def sent(self) -> tuple[Arg, ...]:
        return self if self.traceparent else self[:-1]


class JobArgs(NamedTuple):
    """ARGV of ``job``; the state fields that change follow as pairs. Names in ``…_json`` are JSON text."""

    announce: str
    pubsub: str
    history_events: int
    history_ttl_s: int
    uid1: str
    uid2: str
    retry: str
    epoch: str
    op: str
    job_id: str
    job_id_json: bytes
    owner_json: bytes | str
    owner_pubsub: str
    item_id: str
    item_id_json: bytes
    traceparent: str
    worker_json: bytes | str
    lease_ms: int
    lost_json: bytes


class LeaseArgs(NamedTuple):
    """ARGV of ``lease``: a worker's word that it is alive."""

    worker_json: bytes
    lease_ms: int


class AnswerArgs(NamedTuple):
    """ARGV of ``answer``; for each piece follow its uid, kind, body, bytes and code points."""

    announce: str
    pubsub: str
    history_events: int
    history_ttl_s: int
    retry: str
    epoch: str
    job_id_json: bytes
    worker_json: bytes | str
    expected: int
    limit: int
    traceparent: str


class AnswersHead(NamedTuple):
    """Begin of ARGV of ``answer_many``: then for each answer an :class:`AnswerAmongMany` and its pieces."""

    announce: Arg
    history_events: Arg
    history_ttl_s: Arg
    limit: Arg
    answers: int


class AnswerAmongMany(NamedTuple):
    pubsub: Arg
    retry: Arg
    epoch: Arg
    job_id_json: Arg
    worker_json: Arg
    expected: Arg
    traceparent: Arg
    pieces: int


class ChatArgs(NamedTuple):
    """ARGV of ``chat``: an answer that is the newest of its chat, if it is new."""

    job_id: str
    kept: int
    ttl_s: int


class OwnerArgs(NamedTuple):
    """ARGV of ``owner``: the second half of a job's step, in Cluster."""

    announce: str
    pubsub: str
    history_events: int
    history_ttl_s: int
    uid: str
    retry: str
    epoch: str
    job_id: str
    type: str
    data: bytes
    ended: str
    traceparent: str


class ManyHead(NamedTuple):
    """Begin of ARGV of ``publish_many``: then a :class:`ManyChannel` for each channel, then a :class:`ManyEvent` for
    each event."""

    announce: Arg
    history_events: Arg
    history_ttl_s: Arg
    channels: int


class ManyChannel(NamedTuple):
    pubsub: Arg
    epoch: Arg
    has_state: int


class ManyEvent(NamedTuple):
    """``channel`` is its number among the channels, from 1."""

    channel: int
    uid: str
    retry: str
    id: str
    type: str
    data: bytes
    must_exist: str
    traceparent: str


class HubArgs(NamedTuple):
    """Begin of ARGV of ``hub``: then a :class:`HubEvent` for each event of the topic."""

    announce: Arg
    pubsub: str
    ttl_s: Arg
    epoch: str
    topic: str


class HubEvent(NamedTuple):
    uid: str
    id: str
    type: str
    data: bytes


class PollHead(NamedTuple):
    """Begin of ARGV of ``poll``: then a :class:`PollRelease` for each job given back, then a :class:`PollHold` for each
    that is still being asked for."""

    holder: str
    lease_ms: int
    limit: int
    releases: int


class PollRelease(NamedTuple):
    """A job that was asked for. ``due_ms`` is its next turn (Redis' clock), :data:`NO_MORE` where there is none."""

    job_id: str | bytes
    errors: int
    due_ms: int


class PollHold(NamedTuple):
    held: str


class PollWatchArgs(NamedTuple):
    """ARGV of ``poll_watch``: a job to be asked for from now on."""

    job_id: str


# Places, for those who take many calls apart: a tuple with names costs more to make than the rest of their work.
PUBSUB: Final = PublishArgs._fields.index("pubsub")
EPOCH: Final = PublishArgs._fields.index("epoch")
DATA: Final = PublishArgs._fields.index("data")
TRACEPARENT: Final = PublishArgs._fields.index("traceparent")
EVENT_ARGS: Final = itemgetter(*map(PublishArgs._fields.index, ManyEvent._fields[1:-1]))
"""Of the arguments of ``publish`` those that :class:`ManyEvent` has between its channel and its traceparent."""
COMMON: Final = 4
"""Arguments that all calls for a channel begin with: announce, pub/sub channel, history and ttl."""
NO_RETRY: Final = -1
"""In place of the place of ``retry``, for a call that only reads or that holds one for each event."""
NO_MORE: Final = -1
"""In place of ``due_ms``, for a job that is asked for no more."""
PUBLISH_RETRY: Final = PublishArgs._fields.index("retry")
JOB_RETRY: Final = JobArgs._fields.index("retry")
OWNER_RETRY: Final = OwnerArgs._fields.index("retry")
ANSWER_HEAD: Final = len(AnswerArgs._fields)
"""Behind these are the pieces, of :data:`PIECE_ARGS` arguments each."""
PIECE_ARGS: Final = 5
ANSWER_RETRY: Final = AnswerArgs._fields.index("retry")
CHANNEL_KEYS: Final = 4
"""KEYS of a channel: log, meta and two of known ids. A job's channel has its state behind them."""
STATE_KEY: Final = 4

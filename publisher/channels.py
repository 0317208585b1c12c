"""Every name on the wire: channels, Redis keys, pub/sub channels, event types, job fields.

Nothing else in the code base spells a key or a field. A channel's keys and its pub/sub channel share one
hash tag, so that one script call can touch them all, in Redis Cluster too.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

DEFAULT_PREFIX: Final = "sse"
BROADCAST: Final = "broadcast"
KINDS: Final = ("client", "job", "user", "topic")
MAX_ID_LENGTH: Final = 200
MAX_OWN_ID_LENGTH: Final = 255

CREATED: Final = "job.created"
STARTED: Final = "job.started"
PROGRESS: Final = "job.progress"
ITEM: Final = "job.item"
COMPLETED: Final = "job.completed"
FAILED: Final = "job.failed"
CANCELLED: Final = "job.cancelled"
JOB_TYPES: Final = frozenset({CREATED, STARTED, PROGRESS, ITEM, COMPLETED, FAILED, CANCELLED})
NODE_TYPES: Final = ("stream.", "__connected", "__heartbeat")
"""Beginnings of the types that only nodes may use: a client would take such an event for the node's word."""
TERMINAL_TYPES: Final = frozenset({COMPLETED, FAILED, CANCELLED})

STATUSES: Final = ("pending", "active", "completed", "failed", "cancelled")
FINISHED: Final = frozenset({"completed", "failed", "cancelled"})
ITEM_FIELDS: Final = ("filename", "status", "progress", "message")

_TYPE = re.compile(r"[A-Za-z0-9_.:\-]{1,100}")
_FORBIDDEN = re.compile(r"[\s{},]")
_PREFIX = re.compile(r"[A-Za-z0-9_.:\-]{1,100}")


class Keys(NamedTuple):
    """The Redis keys of one channel. ``state`` is used by jobs, ``jobs`` and ``active`` by users."""

    log: str
    meta: str
    state: str
    ids0: str
    ids1: str
    jobs: str
    active: str
    pubsub: str


def check_id(value: object, what: str = "id") -> str:
    """Return ``value`` if it may name a client, job, user or topic; raise ``ValueError`` that says why not."""
    if not isinstance(value, str):
        raise ValueError(f"The {what} must be text, not {type(value).__name__}.")
    if not 1 <= len(value) <= MAX_ID_LENGTH:
        raise ValueError(f"The {what} must have 1 to {MAX_ID_LENGTH} characters; it has {len(value)}.")
    if not value.isprintable() or _FORBIDDEN.search(value):
        raise ValueError(
            f"The {what} may hold printable characters only, without whitespace, braces, commas or control characters."
        )
    return value


def check_channel(value: object) -> str:
    """Return ``value`` if it is a channel name (``job:42``, ``broadcast`` …); else raise ``ValueError``."""
    if value == BROADCAST:
        return BROADCAST
    if not isinstance(value, str):
        raise ValueError(f"A channel must be text, not {type(value).__name__}.")
    kind, colon, rest = value.partition(":")
    if not colon or kind not in KINDS:
        raise ValueError("A channel is client:ID, job:ID, user:ID, topic:NAME or broadcast.")
    check_id(rest, f"{kind} id")
    return value


def check_type(value: object) -> str:
    """Return ``value`` if it is an event type, 1 to 100 characters of ``A-Za-z0-9_.:-``; else raise ``ValueError``."""
    if not isinstance(value, str) or not _TYPE.fullmatch(value):
        raise ValueError("An event type must have 1 to 100 characters of A-Z a-z 0-9 _ . : -")
    return value


def check_own_type(value: object) -> str:
    """Like :func:`check_type`, and refuse what others say: ``job.*`` the job calls, the rest the nodes themselves."""
    checked = check_type(value)
    if checked.startswith(NODE_TYPES):
        raise ValueError(f"The type {checked} is one of the node's own words; use another name.")
    if checked.startswith("job."):
        raise ValueError(f"The type {checked} belongs to the job calls; use a job handle, or a name without 'job.'.")
    return checked


def check_own_id(value: object) -> str:
    """Return ``value`` if it may be a publisher's own event id; else raise ``ValueError``."""
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_OWN_ID_LENGTH or not value.isprintable():
        raise ValueError(f"An event's own id must be text of 1 to {MAX_OWN_ID_LENGTH} printable characters.")
    return value


def check_prefix(value: object) -> str:
    """Return ``value`` if it may start every key; braces would break the hash tags, so they are refused."""
    if not isinstance(value, str) or not _PREFIX.fullmatch(value):
        raise ValueError("The Redis prefix must have 1 to 100 characters of A-Z a-z 0-9 _ . : -")
    return value


def client_channel(client_id: str) -> str:
    return f"client:{check_id(client_id, 'client id')}"


def job_channel(job_id: str) -> str:
    return f"job:{check_id(job_id, 'job id')}"


def user_channel(user_id: str) -> str:
    return f"user:{check_id(user_id, 'user id')}"


def job_id_of(channel: str) -> str | None:
    """The job's id if this is a job's channel, else None."""
    return channel[4:] if channel.startswith("job:") else None


def pubsub_name(prefix: str, channel: str) -> str:
    """The pub/sub channel on which a channel's events are announced."""
    return f"{prefix}:{{{channel}}}"


def keys(prefix: str, channel: str) -> Keys:
    """All Redis keys of a channel. The channel must have been checked."""
    base = pubsub_name(prefix, channel)
    return Keys(
        log=f"{base}:log",
        meta=f"{base}:meta",
        state=f"{base}:state",
        ids0=f"{base}:ids0",
        ids1=f"{base}:ids1",
        jobs=f"{base}:jobs",
        active=f"{base}:active",
        pubsub=base,
    )

"""The names that events carry: channels and their kinds, event types, and the words of a job's life."""

from __future__ import annotations

import re
from typing import Final

BROADCAST: Final = "broadcast"
PRESENCE: Final = "topic:presence"
"""Where nodes tell who is online; who may read it is stricter than for other topics."""
KINDS: Final = ("client", "job", "user", "topic")
MAX_ID_LENGTH: Final = 200
MAX_OWN_ID_LENGTH: Final = 255

CREATED: Final = "job.created"
STARTED: Final = "job.started"
PROGRESS: Final = "job.progress"
ITEM: Final = "job.item"
RETRYING: Final = "job.retrying"
PAUSED: Final = "job.paused"
RESUMED: Final = "job.resumed"
LOG: Final = "job.log"
TEXT: Final = "job.text"
PART: Final = "job.part"
COMPLETED: Final = "job.completed"
FAILED: Final = "job.failed"
CANCELLED: Final = "job.cancelled"
JOB_TYPES: Final = frozenset(
    {CREATED, STARTED, PROGRESS, ITEM, RETRYING, PAUSED, RESUMED, LOG, TEXT, PART, COMPLETED, FAILED, CANCELLED}
)
NODE_TYPES: Final = ("stream.", "__connected", "__heartbeat")
"""Beginnings of the types that only nodes may use: a client would take such an event for the node's word."""
TERMINAL_TYPES: Final = frozenset({COMPLETED, FAILED, CANCELLED})

STATUSES: Final = ("pending", "active", "completed", "failed", "cancelled")
FINISHED: Final = frozenset({"completed", "failed", "cancelled"})
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
ITEM_FIELDS: Final = ("filename", "status", "progress", "message")

ANSWER: Final = "answer"
"""The kind of a job that is an answer: it has text and parts."""

RESERVED_JOB_IDS: Final = frozenset({"events"})
_UNREACHABLE: Final = (".", "..")
_TYPE = re.compile(r"[A-Za-z0-9_.:\-]{1,100}")
_FORBIDDEN = re.compile(r"[\s{},]")
_PREFIX = re.compile(r"[A-Za-z0-9_.:\-]{1,100}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def plain(value: str) -> str:
    """Text as a plain ``str``: what a subclass holds, whatever it says of itself (``class Ch(str, Enum)``)."""
    return value if type(value) is str else str.__str__(value)


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
    if value in _UNREACHABLE:
        raise ValueError(f"The {what} may not be . or .., which browsers and proxies take out of an address.")
    return plain(value)


def check_job_id(value: object, what: str = "job id") -> str:
    """Like :func:`check_id`, for a job: ``events`` is the path of all jobs' stream."""
    checked = check_id(value, what)
    if checked in RESERVED_JOB_IDS:
        raise ValueError(f"The {what} may not be {checked}: that is the address of the stream of all jobs.")
    return checked


def check_item_id(value: object, what: str = "item id") -> str:
    """Return ``value`` if it may name a file of a job: free text, because it stands in no key and no address."""
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_ID_LENGTH or _CONTROL.search(value):
        raise ValueError(f"The {what} must be text of 1 to {MAX_ID_LENGTH} characters without control characters.")
    return plain(value)


def check_channel(value: object) -> str:
    """Return ``value`` if it is a channel name (``job:42``, ``broadcast`` …); else raise ``ValueError``."""
    if value == BROADCAST:
        return BROADCAST
    if not isinstance(value, str):
        raise ValueError(f"A channel must be text, not {type(value).__name__}.")
    kind = kind_of(value)
    if kind not in KINDS or kind == value:
        raise ValueError("A channel is client:ID, job:ID, user:ID, topic:NAME or broadcast.")
    (check_job_id if kind == "job" else check_id)(id_of(value), f"{kind} id")
    return plain(value)


def check_type(value: object) -> str:
    """Return ``value`` if it is an event type, 1 to 100 characters of ``A-Za-z0-9_.:-``; else raise ``ValueError``."""
    if not isinstance(value, str) or not _TYPE.fullmatch(value):
        raise ValueError("An event type must have 1 to 100 characters of A-Z a-z 0-9 _ . : -")
    return plain(value)


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
    return plain(value)


def check_prefix(value: object) -> str:
    """Return ``value`` if it may start every key; braces would break the hash tags, so they are refused."""
    if not isinstance(value, str) or not _PREFIX.fullmatch(value):
        raise ValueError("The Redis prefix must have 1 to 100 characters of A-Z a-z 0-9 _ . : -")
    return plain(value)


def client_channel(client_id: str) -> str:
    return f"client:{check_id(client_id, 'client id')}"


def job_channel(job_id: str) -> str:
    return f"job:{check_job_id(job_id)}"


def user_channel(user_id: str) -> str:
    return f"user:{check_id(user_id, 'user id')}"


def kind_of(channel: str) -> str:
    """A channel's kind: one of :data:`KINDS`, or ``broadcast``."""
    return channel.partition(":")[0]


def id_of(channel: str) -> str:
    """A channel's id or name, without its kind; empty for ``broadcast``."""
    return channel.partition(":")[2]


def job_id_of(channel: str) -> str | None:
    """The job's id if this is a job's channel, else None."""
    return id_of(channel) if kind_of(channel) == "job" else None

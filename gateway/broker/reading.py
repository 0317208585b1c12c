"""What the read script answers, as a value. Pure: whatever stands in Redis, it says what can be read of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from gateway.broker.store import ReplyError
from gateway.fanout.continuity import Snapshot
from gateway.fanout.raw_page import RawPage
from gateway.metrics.unreadable import Unreadable
from publisher import channels as names
from publisher.envelope import NO_MARK, START, Event, MessageError, Position, decode
from publisher.job import Job, Status, from_state

What = Literal["", "whole", "state", "facts", "active", "jobs", "chat"]
PipelinedRead = tuple[str, int | None, What, str]
"""Channel, the seq after which events are wanted (None: no events), what else, and for a chat its id."""

_EPOCH: Final = re.compile(rb"[A-Za-z]{8}")
_SEQ: Final = re.compile(rb"[1-9][0-9]{0,15}")
_MARK: Final = re.compile(rb"[A-Za-z0-9_-]{6}")


def snapshot(request: PipelinedRead, reply: Any, unreadable: Unreadable) -> Snapshot:
    """The snapshot that was asked for; what cannot be read is left out of it and noted. Raises :class:`ReplyError`."""
    channel, _, what, _ = request
    try:
        epoch, seq, mark, messages, more, rest, foreign = reply
        top = _top(epoch, seq, mark)
        # A channel whose place is not known has no events: the next one begins a history of its own.
        events = [] if top is None else _events(channel, messages, unreadable)
        state = _state(what, rest)
        ids = [_job_id(member) for member in rest] if what in ("active", "jobs", "chat") else []
        unreadable.note("key", int(foreign))
    except (ValueError, TypeError, AttributeError) as error:
        raise ReplyError(f"Redis gave an answer that is none of the script's: {type(error).__name__}.") from None
    unreadable.note("meta", top is None)
    unreadable.note("index", ids.count(None))
    jobs = tuple(job_id for job_id in ids if job_id is not None)
    return Snapshot(top or START, events, more == b"1", state, jobs)


class JobFacts(NamedTuple):
    """What decides who may see a job, and whether its state (about ``size`` bytes) is read now or later."""

    owner: str | None
    kind: str
    status: Status
    size: int


def facts_in(channel: str, facts: Mapping[bytes, bytes] | None, unreadable: Unreadable) -> JobFacts | None:
    """The facts of the job at a job's channel, or None; those of another job or of none are noted."""
    known = {name: value for name, value in (facts or {}).items() if value}
    if known.keys() <= {b"size"}:
        return None
    job = job_in(channel, known, unreadable)
    return None if job is None else JobFacts(job.owner, job.kind, job.status, int(known.get(b"size", b"0")))


def job_in(channel: str, state: Mapping[bytes, bytes] | None, unreadable: Unreadable) -> Job | None:
    """The job whose state stands at a job's channel, or None; a state that is another job's or none is noted."""
    if not state:
        return None
    job = from_state(state)
    if job is None or job.job_id != names.job_id_of(channel):
        unreadable.note("state")
        return None
    return job


def _state(what: What, rest: list[Any]) -> dict[bytes, bytes] | None:
    match what:
        case "state" | "whole":
            return dict(zip(rest[::2], rest[1::2], strict=True))
        case "facts":
            return dict(zip((b"job_id", b"owner", b"kind", b"status", b"size"), rest, strict=True))
    return None


def _top(epoch: bytes, seq: bytes, mark: bytes) -> Position | None:
    if (epoch, seq, mark) == (b"", b"0", NO_MARK.encode()):
        return START
    if not (_EPOCH.fullmatch(epoch) and _SEQ.fullmatch(seq) and _MARK.fullmatch(mark)):
        return None
    return Position(epoch.decode(), int(seq), mark.decode())


def _events(channel: str, messages: list[bytes], unreadable: Unreadable) -> Sequence[Event]:
    page = RawPage.of(channel, messages)
    if page is not None:
        return page
    return [event for message in messages if (event := _event(channel, message, unreadable))]


def _event(channel: str, message: bytes, unreadable: Unreadable) -> Event | None:
    try:
        return decode(channel, message)
    except MessageError as error:
        unreadable.note("message", why=str(error))
        return None  # the chain has a hole here, and its reader will see that


def _job_id(member: bytes) -> str | None:
    """A job's id out of a user's index; None for what no publisher can have put there."""
    try:
        return names.check_job_id(member.decode())
    except ValueError:
        return None

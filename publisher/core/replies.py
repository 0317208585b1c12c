"""What scripts say, as values: receipts, and how a job's step went. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from publisher import channels, jsontext
from publisher.core.drafts import Draft
from publisher.exceptions import JobError, JobNotFound, finished

ScriptReply: TypeAlias = Sequence[Any]


class Receipt(NamedTuple):
    """Where an event is: its channel, the channel's epoch, and its number there."""

    channel: str
    epoch: str
    seq: int


class Told(NamedTuple):
    """An event that a job step made: what its owner's channel in another slot still has to be told."""

    uid: str
    type: str
    data: bytes


class Outcome(NamedTuple):
    """What a script said. ``detail`` is the job's status, owner or kind, after the verdict; ``left_ms`` says when to
    look again whether a worker is lost (-1: never)."""

    verdict: str
    epoch: str = ""
    seq: int = 0
    detail: str | None = None
    told: tuple[Told, ...] = ()
    attempt: int = 1
    paused: bool = False
    left_ms: int = -1
    there: int = 0
    """Bytes of the answer that the job is."""


def read(reply: ScriptReply) -> Outcome:
    """A script's reply as a value."""
    verdict = _text(reply[0])
    if verdict == "ok":
        if len(reply) == 3:  # an owner's half, or a plain event
            return Outcome(verdict, _text(reply[1]), int(reply[2]))
        told, attempt, paused = _told(reply[6:]), _attempt(reply[4]), reply[5] == b"true"
        return Outcome(verdict, _text(reply[1]), int(reply[2]), _plain(reply[3]), told, attempt, paused)
    if verdict == "leased":
        return Outcome(verdict, left_ms=int(reply[1]))
    if verdict == "written":
        return Outcome(verdict, _text(reply[1]), int(reply[2]), there=int(reply[3]))
    if verdict in ("behind", "ahead", "long"):
        return Outcome(verdict, there=int(reply[1]))
    return Outcome(verdict, detail=_plain(reply[1]) if len(reply) > 1 else None)


def _told(rest: ScriptReply) -> tuple[Told, ...]:
    return tuple(Told(_text(rest[n]), _text(rest[n + 1]), rest[n + 2]) for n in range(0, len(rest), 3))


def _attempt(value: bytes) -> int:
    """A job of an older publisher has no attempts; garbage is as good as none."""
    return int(value) if value.isdigit() and len(value) < 10 else 1


def _plain(value: bytes) -> str | None:
    found = jsontext.load_stored(value) if value else None  # anybody may have written to a job's state
    return found if isinstance(found, str) else None


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def receipt(event: Draft, reply: ScriptReply) -> Receipt:
    """The receipt of a published event. Raises :class:`JobFinished` where its job has ended."""
    if reply[0] == b"ok":
        return Receipt(event.channel, reply[1].decode(), reply[2])
    job_id = channels.job_id_of(event.channel) or ""
    outcome = read(reply)
    if outcome.verdict == "missing":
        raise JobNotFound(job_id)
    raise finished(job_id, outcome.detail or "finished")


def receipts(events: Sequence[Draft], replies: Sequence[ScriptReply]) -> list[Receipt | None]:
    """The receipts of a list. Raises :class:`JobFinished` that names the first event whose job has ended."""
    found: list[Receipt | None] = []
    for index, (event, reply) in enumerate(zip(events, replies, strict=True)):
        try:
            found.append(receipt(event, reply))
        except JobError as error:
            error.args = (*error.args[:-1], f"Event {index}: {error} The rest of the list was published.")
            raise
    return found

"""When a provider is asked for a job, and what its answer means for it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from publisher import channels
from publisher.core import backoff
from publisher.core.given import JobChanges
from publisher.core.perform import Flow
from publisher.core.requests import Call
from publisher.core.scripts import NO_MORE, NO_RETRY, PollHead, PollHold, PollRelease, PollWatchArgs, ScriptName
from publisher.job import Job

PollStatus: TypeAlias = Literal["active", "completed", "failed", "cancelled"]

POLL_LEASE_S: Final = 6.0
"""What a poller holds without a sign of life for so long is taken by another one."""
FETCH_S: Final = 30.0
"""How long one answer of the provider may take."""

UNREACHABLE_CODE: Final = "provider_unreachable"
TIMEOUT_CODE: Final = "timeout"
_NUMBER: Final = re.compile(rb"[0-9]{1,15}")
_STATUSES: Final = ("active", "completed", "failed", "cancelled")
_MAX_S: Final = 30 * 86_400
_MAX_ERRORS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Poll:
    """A provider's answer: how a job stands there. ``progress`` (0 to 100) and ``message`` stay as they were where they
    are None; ``result`` is a completed job's JSON value, ``error`` a failed one's text, or a dict with ``message`` and
    perhaps ``code`` and ``details``. Raises ``ValueError`` for anything else."""

    status: PollStatus
    progress: float | None = None
    result: Any = None
    error: str | dict[str, Any] | None = None
    message: str | None = None

    def __post_init__(self) -> None:
        if self.status not in _STATUSES:
            raise ValueError(f"A Poll's status must be one of {', '.join(_STATUSES)}, not {self.status!r}.")
        if self.result is not None and self.status != "completed":
            raise ValueError("A Poll's result needs status 'completed'.")
        if self.error is not None and self.status != "failed":
            raise ValueError("A Poll's error needs status 'failed'.")


class Claim(NamedTuple):
    """A job whose turn it is, and nobody else's to ask for. Times are ms of Redis' clock."""

    job_id: str
    since_ms: int
    errors: int
    now_ms: int


class Turn(NamedTuple):
    """What a poller got to do; ``wait_s`` is when the next job's turn comes, None where there is none. ``rubbish`` is
    to be given back: no poller has written it. Another ``mark`` than before: the schedule was lost."""

    claims: list[Claim]
    rubbish: list[PollRelease]
    wait_s: float | None
    mark: bytes


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often a job is asked for, and when that ends. Raises ``ValueError`` for what makes no sense."""

    interval_s: float
    max_interval_s: float
    timeout_s: float
    give_up_after: int

    def __post_init__(self) -> None:
        for name in ("interval_s", "max_interval_s", "timeout_s"):
            value: object = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0.01 <= value <= _MAX_S:
                raise ValueError(f"{name} must be 0.01 to {_MAX_S} seconds, not {value!r}.")
        if self.max_interval_s < self.interval_s:
            raise ValueError(f"max_interval_s must be at least interval_s, {self.interval_s:g}; raise it.")
        tries: object = self.give_up_after
        if isinstance(tries, bool) or not isinstance(tries, int) or not 1 <= tries <= _MAX_ERRORS:
            raise ValueError(f"give_up_after must be a whole number from 1 to {_MAX_ERRORS}, not {tries!r}.")

    def wait_s(self, errors: int, *, draw: float | None = None) -> float:
        """Seconds from one question to the next: after errors in a row somewhere between the interval and its doubling
        for each. ``draw`` (0 to 1) is for tests."""
        limit = min(self.max_interval_s, self.interval_s * 2.0 ** min(errors, 30))
        return self.interval_s + backoff.backoff_s(0, base_s=limit - self.interval_s, cap_s=limit, draw=draw)

    def left_s(self, claim: Claim) -> float:
        """How long the job may still take."""
        return self.timeout_s - (claim.now_ms - claim.since_ms) / 1000

    @property
    def remembered_s(self) -> float:
        """After so long every job has been asked for again, by whichever process."""
        return self.max_interval_s + POLL_LEASE_S + FETCH_S

    def gives_up(self, errors: int) -> bool:
        return errors >= self.give_up_after

    def release(self, claim: Claim, errors: int | None) -> PollRelease:
        """How a job is given back, after so many errors in a row; None: it is asked for no more."""
        if errors is None:
            return PollRelease(claim.job_id, 0, NO_MORE)
        return PollRelease(claim.job_id, errors, claim.now_ms + round(1000 * self.wait_s(errors)))


def register(keys: tuple[str, str], job_id: str) -> Flow[bool]:
    """Have a job asked for; whether it was not before."""
    args = PollWatchArgs(channels.check_job_id(job_id))
    return bool((yield Call(ScriptName.POLL_WATCH, keys, args, NO_RETRY)))


def turn(
    keys: tuple[str, str], holder: str, limit: int, releases: Sequence[PollRelease], held: Iterable[str]
) -> Flow[Turn]:
    """Give jobs back, keep some, take up to ``limit``. An answer that is lost costs a lease's time, nothing else."""
    head = PollHead(holder, round(1000 * POLL_LEASE_S), limit, len(releases))
    args = [*head, *(part for release in releases for part in release)]
    args += [part for job_id in held for part in PollHold(job_id)]
    reply = yield Call(ScriptName.POLL, keys, tuple(args), NO_RETRY)
    now_ms, wait_ms = int(reply[0]), int(reply[1])
    found = Turn([], [], None if wait_ms < 0 else wait_ms / 1000, reply[2])
    for raw, since, errors in zip(reply[3::3], reply[4::3], reply[5::3], strict=True):
        try:
            job_id = channels.check_job_id(raw.decode())
            found.claims.append(Claim(job_id, _whole(since), _whole(errors), now_ms))
        except ValueError:
            found.rubbish.append(PollRelease(raw, 0, NO_MORE))
    return found


def _whole(value: bytes) -> int:
    """A number that a poller has written. Raises ``ValueError`` for another, or one that nobody could reckon with."""
    if not _NUMBER.fullmatch(value):
        raise ValueError("No poller has written this.")
    return int(value)


def news(found: Poll, job: Job) -> JobChanges | None:
    """What an answer changes; None where the job stands so already: viewers are told nothing twice."""
    changes: JobChanges = {"status": found.status}
    if found.progress is not None and found.progress != job.progress:
        changes["progress"] = found.progress
    if found.message is not None and found.message != job.message:
        changes["message"] = found.message
    if found.status == "active" and job.status == "active" and len(changes) == 1:
        return None
    if found.result is not None:
        changes["result"] = found.result
    if found.error is not None:
        changes["error"] = found.error
    return changes


def unreachable(errors: int) -> JobChanges:
    """The end of a job whose provider does not answer. What it said instead is for the log, not for browsers."""
    times = "once" if errors == 1 else f"{errors} times in a row"
    return _failure(f"The provider could not be asked, {times}.", UNREACHABLE_CODE)


def timed_out(timeout_s: float) -> JobChanges:
    """The end of a job that takes too long."""
    return _failure(f"The provider was not done within {timeout_s:g} s.", TIMEOUT_CODE)


def _failure(message: str, code: str) -> JobChanges:
    return {"status": "failed", "error": {"message": message, "code": code}}

"""What the publisher says about events that did not go straight into Redis: log lines and errors, never a payload."""

from __future__ import annotations

import logging
from typing import Final

from publisher.core.answer_step import AnswerStep
from publisher.core.drafts import Draft
from publisher.core.faults import Fault
from publisher.core.options import Options
from publisher.core.reason import words
from publisher.core.record import Entry, JobRecord
from publisher.core.replies import Outcome
from publisher.exceptions import PublishError

log: Final = logging.getLogger("publisher")
_BUFFER_HINT: Final = "; on_error='buffer' would keep events until it is back"


def unreachable(what: str, where: str, error: BaseException, fault: Fault, options: Options) -> PublishError:
    """The error for something that could not be sent."""
    remedy = fault.value
    if fault is Fault.AWAY and options.on_error == "raise":
        remedy += _BUFFER_HINT
    return PublishError(f"{what} could not be sent to Redis at {where} ({reason(error)}). {remedy}.")


def for_users(error: BaseException) -> str:
    """An error's sentence for people who run a command: without what only those who write code could change."""
    return str(error).replace(_BUFFER_HINT, "")


def reason(error: BaseException) -> str:
    """An error of redis-py in a few words."""
    said = " ".join(words(error).split())[:200].rstrip(".")
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def name(entry: Entry) -> str:
    """An entry for a log line or an error."""
    if isinstance(entry, Draft):
        return f"The event {entry.type} for {entry.channel}"
    if isinstance(entry, AnswerStep):
        return f"Text of the answer {entry.job_id}"
    return f"The step {entry.op} of job {entry.job_id}"


def outage(where: str, error: BaseException) -> None:
    log.warning("Redis at %s takes no events (%s); they wait here and are sent when it does.", where, reason(error))


def recovered(where: str) -> None:
    log.warning("Redis at %s takes events again; all that waited have been sent.", where)


def given_up(entry: Entry, where: str, error: BaseException) -> None:
    log.error("%s was given up: Redis at %s refused it (%s).", name(entry), where, reason(error))


def cut_off(entry: Entry, error: BaseException) -> None:
    log.error("%s was cut off on its way, and may not arrive: %s", name(entry), error)


def unfinished(record: JobRecord, seconds: float) -> None:
    log.error(
        "The end of job %s is not in Redis after %g s. It is sent as soon as Redis is back and while this process "
        "lives; keep the process, or raise flush_timeout_s.",
        record.job_id,
        seconds,
    )


def left_over(count: int, where: str, seconds: float) -> None:
    log.error(
        "%d events could not be sent to Redis at %s within %g s and are lost if this process ends. "
        "Bring Redis back first, or raise flush_timeout_s.",
        count,
        where,
        seconds,
    )


def settle_quietly(entry: Entry, record: JobRecord, outcome: Outcome) -> None:
    """Take in the answer to an entry."""
    record.settle(entry, outcome)


def settle(entry: Entry, record: JobRecord | None, outcome: Outcome) -> None:
    """Take in the answer to an entry and say what its sender will not be told otherwise."""
    if record is None:
        if outcome.verdict != "ok":
            log.warning("%s was dropped: its job is %s.", name(entry), outcome.detail or outcome.verdict)
        return
    deaf = record.deaf
    record.settle(entry, outcome)
    if deaf or not record.deaf:
        return
    if record.refused is not None:
        log.error("%s Its events are dropped.", record.refused)
    else:
        log.info("The job %s was ended elsewhere (%s); events are dropped.", record.job_id, record.ended_elsewhere)

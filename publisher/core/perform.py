"""One event or step on its way: the call that makes it, and those that follow from it. Flows; no I/O."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final, TypeAlias, TypeVar

from publisher.core import replies, steps
from publisher.core.options import Options
from publisher.core.record import Entry
from publisher.core.replies import Outcome
from publisher.core.requests import Effect, Request
from publisher.core.step import Step, chat_call, owner_calls

T = TypeVar("T")
Flow: TypeAlias = Generator[Request, Any, T]
Effects: TypeAlias = Generator[Effect, Any, T]
"""A flow that also waits, repairs, and sends many calls at once."""

MAX_TURNS: Final = 4
"""A job that vanishes or changes hands this often within one step is somebody else's problem."""


def perform(options: Options, entry: Entry) -> Flow[Outcome]:
    """Send one event or step; in Cluster also the owner's half."""
    again = entry.tried
    call = entry.call(options)
    entry.tried = True
    outcome = replies.read((yield call))
    if isinstance(entry, Step):
        yield from _tell_owner(options, entry, outcome, again)
        if entry.chat and outcome.verdict == "ok":
            yield from _take_chat(options, entry)
    return outcome


def _tell_owner(options: Options, step: Step, outcome: Outcome, again: bool) -> Flow[None]:
    for call in owner_calls(options, step, outcome.told, retry=again):
        replies.read((yield call))


def _take_chat(options: Options, step: Step) -> Flow[None]:
    """An answer becomes the newest of its chat; the one before it is cancelled, if it has not ended."""
    before: bytes = yield chat_call(options, step)
    if before:
        yield from perform(options, steps.supersede(before.decode(errors="replace"), step.owner))

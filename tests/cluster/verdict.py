"""Whether the promise was kept: the ledger, the truth and every client's trails, brought together. Pure."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.cluster.ledger import PER_STEP, STEP, Ledger
from tests.cluster.trail import Skip, Trail, Wrong
from tests.cluster.truth import Truth
from tests.cluster.views import FINAL
from tests.cluster.watcher import Watcher

MAX_SHOWN = 5
IN_DOUBT_S = 5.0
"""Events accepted this long before a loss may be among what was lost."""


@dataclass
class Row:
    """What one client went through. The first group breaks the promise, the second does not."""

    name: str
    lost: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    unordered: list[str] = field(default_factory=list)
    unexplained_resets: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)

    events: int = 0
    resets: int = 0
    reconnects: int = 0
    longest_silence_s: float = 0.0

    def problems(self) -> list[str]:
        kinds = {
            "lost": self.lost,
            "repeated": self.repeated,
            "out of order": self.unordered,
            "reset without a loss": self.unexplained_resets,
            "refused for good": self.refused,
            "not the newest state": self.stale,
        }
        return [f"{self.name}: {len(texts)} {kind}: {_few(texts)}" for kind, texts in kinds.items() if texts]


def _few(texts: Sequence[str]) -> str:
    return "; ".join(texts[:MAX_SHOWN])


def row(watcher: Watcher, ledger: Ledger, truth: Truth) -> Row:
    """The row of one client."""
    result = Row(
        watcher.name,
        refused=list(watcher.refusals),
        stale=_stale(watcher, ledger),
        reconnects=watcher.reconnects,
        longest_silence_s=round(watcher.longest_silence_s, 2),
    )
    for trail in watcher.trails.values():
        result.events += trail.events
        result.resets += len(trail.resets)
        result.repeated += _outside(trail.repeated, ledger)
        result.unordered += _outside(trail.unordered, ledger)
        result.lost += [f"forked: {text}" for text in _outside(trail.forks, ledger)]
        result.lost += [text for skip in trail.skips for text in _missed(trail, skip, watcher, ledger, truth)]
        result.unexplained_resets += [trail.channel for at in trail.resets if not ledger.in_loss(at)]
    return result


def _outside(wrongs: Iterable[Wrong], ledger: Ledger) -> list[str]:
    return [wrong.what for wrong in wrongs if not ledger.in_loss(wrong.at)]


def _missed(trail: Trail, skip: Skip, watcher: Watcher, ledger: Ledger, truth: Truth) -> list[str]:
    """What a client should have been given in a jump."""
    text = f"{trail.channel} {skip.before.epoch}:{skip.before.seq} to {skip.after.epoch}:{skip.after.seq}"
    if trail.has_word:
        return [text]
    if ledger.lost_between(skip.since, skip.at):
        return []  # these dialects have no word for a loss: they tell the state anew, where there is one
    if skip.before.epoch != skip.after.epoch or skip.after.seq <= skip.before.seq:
        return [text]
    words = watcher.view.words
    return [
        f"{text}, {fact.type}" for fact in truth.between(trail.channel, skip.before, skip.after) if fact.type in words
    ]


def _stale(watcher: Watcher, ledger: Ledger) -> list[str]:
    """Jobs that this client was there to see the end of, and did not."""
    return [
        job_id
        for job_id in watcher.watched
        if ledger.jobs.get(job_id) in FINAL
        and watcher.statuses.get(job_id) not in FINAL
        and job_id in ledger.ended_jobs()
    ]


def unseen(ledger: Ledger, truth: Truth, before: float = math.inf) -> list[str]:
    """Accepted events that nobody saw although somebody was there all the time: of those asked for ``before`` a time,
    and of jobs that had ended by then."""
    found = []
    for channel in ledger.channels():
        if channel.startswith("job:") and not ledger.ended_before(channel[4:], before):
            continue
        seen = truth.numbers[channel]
        # Clients come to a job when it is announced, or later where they could not: what was before is told as state.
        first = min(seen, default=sys.maxsize) if channel.startswith("job:") else 0
        for number, entry in ledger.entries[channel].items():
            if not entry.must or entry.asked_at >= before or number in seen or number < first:
                continue
            if _superseded(channel, number):
                continue
            if any(start - IN_DOUBT_S <= entry.asked_at <= end for start, end in ledger.losses):
                continue
            found.append(f"{channel} {number}")
    return found


def _superseded(channel: str, number: int) -> bool:
    """A job's progress that waits for Redis is replaced by newer progress, rightly."""
    return channel.startswith("job:") and number % PER_STEP == STEP


def wrong_receipts(ledger: Ledger, truth: Truth) -> list[str]:
    """Receipts that name a place where another event was seen."""
    found = []
    for channel in ledger.channels():
        places: dict[tuple[str, int], set[int | None]] = {}
        for position, fact in truth.facts[channel].items():
            places.setdefault((position.epoch, position.seq), set()).add(fact.number)
        for number, entry in ledger.entries[channel].items():
            if entry.receipt is None or ledger.in_loss(entry.asked_at):
                continue
            seen = places.get((entry.receipt.epoch, entry.receipt.seq))
            if seen is not None and number not in seen:
                found.append(
                    f"{channel} {number}: its receipt says {entry.receipt.seq}, where {sorted(map(str, seen))} is"
                )
    return found


def problems(watchers: Sequence[Watcher], ledger: Ledger, truth: Truth, before: float = math.inf) -> list[str]:
    """Everything that breaks the promise; empty if it was kept. What was asked for later than ``before`` may still be
    on its way."""
    found = [text for watcher in watchers for text in row(watcher, ledger, truth).problems()]
    missing = unseen(ledger, truth, before)
    if missing:
        found.append(f"{len(missing)} accepted events reached nobody: {_few(missing)}")
    return found + wrong_receipts(ledger, truth)[:MAX_SHOWN]

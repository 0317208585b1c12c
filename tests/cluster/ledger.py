"""What publishers say of their events: asked for, accepted, kept for later. The account that must be honoured."""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

STEP, ITEM, TOKEN = 0, 1, 2
"""What a job's worker reports in one step, in this order."""
PER_STEP = 10
FORGOTTEN_S = 5.0
"""How long after a loss clients may still learn how a job ended."""


def job_number(step: int, rank: int) -> int:
    """The number of a job's event: grows over all that its worker reports."""
    return step * PER_STEP + rank


class AcceptedEvent(NamedTuple):
    """Where an accepted event is."""

    epoch: str
    seq: int


@dataclass
class Entry:
    """One event of a publisher's. ``life`` counts the starts of its process."""

    life: int
    asked_at: float
    receipt: AcceptedEvent | None = None
    must: bool = False
    """Whether it has to arrive: it was accepted, or kept and then flushed."""


@dataclass
class Ledger:
    """Numbers by channel, jobs by id, and the times in which Redis lost data."""

    entries: dict[str, dict[int, Entry]] = field(default_factory=lambda: defaultdict(dict))
    jobs: dict[str, str | None] = field(default_factory=dict)
    """Every job that its publisher announced, and the status it ended with."""
    losses: list[tuple[float, float]] = field(default_factory=list)
    accepted_count: int = 0
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._kept: list[tuple[str, int]] = []
        self._ended_at: dict[str, float] = {}
        self._changed = asyncio.Condition()

    # What a publisher says ---

    def asked(self, channel: str, number: int, life: int = 0) -> None:
        """It is about to publish this; from now on the event may arrive."""
        self.entries[channel][number] = Entry(life, self.clock())

    def accepted(self, channel: str, number: int, receipt: AcceptedEvent) -> None:
        """Redis has it, and so everything that the same publisher kept before: it goes out in order."""
        entry = self.entries[channel][number]
        entry.receipt, entry.must = receipt, True
        self.accepted_count += 1
        self.flushed()

    def kept(self, channel: str, number: int) -> None:
        """The publisher keeps it until Redis is back; lost if the process is killed before."""
        self._kept.append((channel, number))

    def flushed(self) -> None:
        """Everything that was kept is in Redis now."""
        for channel, number in self._kept:
            self.entries[channel][number].must = True
            self.accepted_count += 1
        self._kept.clear()

    def killed(self) -> None:
        """The process is gone, and what it kept may be gone with it."""
        self._kept.clear()

    def started_job(self, job_id: str) -> None:
        self.jobs.setdefault(job_id, None)

    def ended_job(self, job_id: str, status: str) -> None:
        self.jobs[job_id] = status
        self._ended_at[job_id] = self.clock()

    # What others ask ---

    def newest(self, channel: str) -> int:
        """The highest number asked for; 0 before the first."""
        return next(reversed(self.entries[channel]), 0) if self.entries.get(channel) else 0

    def ended_jobs(self) -> set[str]:
        """Jobs that have ended, and whose end Redis cannot have lost again."""
        after = max((end for _, end in self.losses), default=0.0)
        return {job_id for job_id, at in self._ended_at.items() if at > after}

    def ended_before(self, job_id: str, at: float) -> bool:
        """Whether a job's worker had ended it by this time."""
        return self._ended_at.get(job_id, math.inf) < at

    def channels(self) -> Iterable[str]:
        return tuple(self.entries)

    def job_after(self, job_id: str | None) -> str | None:
        """The job that was announced after this one, or the newest there is."""
        ids = list(self.jobs)
        if job_id is None:
            return ids[-1] if ids else None
        place = ids.index(job_id) + 1
        return ids[place] if place < len(ids) else None

    async def next_job(self, job_id: str | None) -> str:
        """The job after this one, as soon as it is announced."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.job_after(job_id) is not None)
        found = self.job_after(job_id)
        assert found is not None
        return found

    async def end_lost(self, job_id: str) -> None:
        """Return when it is certain that a job's end may have been lost: its worker has ended it, and Redis lost data
        then or later, and is well again for a while."""
        while job_id not in self._ended_at or not self._lost_long_ago(self._ended_at[job_id]):
            await asyncio.sleep(0.2)

    def _lost_long_ago(self, at: float) -> bool:
        return any(at <= end < self.clock() - FORGOTTEN_S for _, end in self.losses)

    def in_loss(self, at: float) -> bool:
        """Whether data may have been lost at this time."""
        return any(start <= at <= end for start, end in self.losses)

    def lost_between(self, since: float, until: float) -> bool:
        """Whether data may have been lost meanwhile."""
        return any(start <= until and since <= end for start, end in self.losses)

    def may_be_gone(self, job_id: str, at: float) -> bool:
        """Whether Redis may have lost a job, and its worker has not created it again: because it had ended it, or not
        reported anything since."""
        last_loss = max((end for _, end in self.losses), default=-math.inf)
        since = [entry for entry in self.entries.get(f"job:{job_id}", {}).values() if entry.asked_at > last_loss]
        told_again = any(entry.receipt is not None or entry.must for entry in since)
        ended = self._ended_at.get(job_id, math.inf) <= last_loss
        return self.in_loss(at) or (last_loss > -math.inf and (ended or not told_again))

    async def tell(self) -> None:
        """Wake those who wait: something was said."""
        async with self._changed:
            self._changed.notify_all()

    async def until(self, condition: Callable[[], object], what: str, timeout_s: float = 60) -> None:
        """Return when ``condition()`` holds. Raises ``TimeoutError`` naming ``what``."""
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait_for(lambda: bool(condition()))
        except TimeoutError:
            raise TimeoutError(f"Waited {timeout_s:g} s for {what}.") from None

"""The jobs that a process has asked for lately: what it could put back if Redis lost everything. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

from publisher.job import Job

REMEMBERED: Final = 10_000
"""Jobs, at most; the oldest are forgotten first."""


class _Known(NamedTuple):
    job: Job
    until: float


class PollMemory:
    """Remembers each job for ``for_s``. Times are seconds of one clock that does not jump."""

    def __init__(self, for_s: float) -> None:
        self._for_s = for_s
        self._known: dict[str, _Known] = {}

    def remember(self, job: Job, now: float) -> None:
        self._known.pop(job.job_id, None)  # to the end: the first ones are the oldest
        while self._known and (len(self._known) >= REMEMBERED or next(iter(self._known.values())).until < now):
            del self._known[next(iter(self._known))]
        self._known[job.job_id] = _Known(job, now + self._for_s)

    def forget(self, job_id: str) -> None:
        """It has ended."""
        self._known.pop(job_id, None)

    def jobs(self, now: float) -> list[Job]:
        return [each.job for each in self._known.values() if each.until > now]

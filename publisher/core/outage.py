"""How long a flusher's attempts have failed: said once when it begins and once when it is over."""

from __future__ import annotations

from publisher.core import reports
from publisher.core.backoff import backoff_s


class Outage:
    """Counts the failures of one run; ``where`` is the place in log lines."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._failures = 0
        self._told = False

    def failed(self, error: BaseException) -> float:
        """Count one more; returns how long to wait, in seconds."""
        self._failures += 1
        if not self._told:
            self._told = True
            reports.outage(self._where, error)
        return backoff_s(self._failures)

    def worked(self) -> None:
        """Something arrived; the next failure is the first again."""
        self._failures = 0

    def over(self) -> None:
        """All has arrived."""
        if self._told:
            reports.recovered(self._where)

"""Progress that comes faster than anybody can look: calls close together become one. Pure."""

from __future__ import annotations

from typing import Final

from publisher import jsontext
from publisher.core.step import Step

MAX_INTERVAL_S: Final = 3600.0


class Merge:
    """At most one progress step every ``interval_s`` seconds goes out; what comes between waits, merged into one."""

    def __init__(self, interval_s: object = 0) -> None:
        self.interval_s = jsontext.real(interval_s, "progress_interval_s")
        if not 0 <= self.interval_s <= MAX_INTERVAL_S:
            raise ValueError(f"progress_interval_s must be 0 to {MAX_INTERVAL_S:g} seconds, not {interval_s!r}.")
        self._open_at = 0.0
        self._waiting: Step | None = None

    @property
    def waits(self) -> bool:
        return self._waiting is not None

    @property
    def open_at(self) -> float:
        """When the next step may go out (monotonic)."""
        return self._open_at

    def offer(self, step: Step, now: float) -> Step | None:
        """What is to be sent now, with all that waited; None where it has to wait."""
        if self._waiting is not None:
            step.changes = {**self._waiting.changes, **step.changes}
        self._waiting = step
        return self.take(now) if now >= self._open_at else None

    def take(self, now: float) -> Step | None:
        """What waits, if anything does: it is being sent."""
        step, self._waiting = self._waiting, None
        if step is not None:
            self._open_at = now + self.interval_s
        return step

    def put_back(self, step: Step) -> None:
        """There was no room for it: it still waits, with what has come since."""
        if self._waiting is not None:
            step.changes = {**step.changes, **self._waiting.changes}
        self._waiting = step

    def into_end(self, end: Step) -> None:
        """Let a step that ends the job take along what waits."""
        if self._waiting is not None:
            end.changes = {**self._waiting.changes, **end.changes}
            self._waiting = None

    def forget(self) -> None:
        """What waits is somebody else's to send."""
        self._waiting = None

"""The thread that sends what job handles let wait for the end of an interval."""

from __future__ import annotations

import threading
import time
from typing import Protocol

from publisher.blocking import exits


class DelayedHandle(Protocol):
    """A handle with progress that waits."""

    def send_waiting(self) -> None:
        """Send it now. Raises nothing."""


class Later:
    """One thread for all handles of a publisher. It lives only as long as something waits, and ends with the
    process: it is a daemon."""

    def __init__(self, owner: object) -> None:
        """``owner`` lives as long as something waits."""
        self._owner = owner
        self.after_fork()

    def after_fork(self) -> None:
        """Start with nothing: what waits is the parent's to send."""
        self._changed = threading.Condition()
        self._due: dict[DelayedHandle, float] = {}
        self._sending: list[DelayedHandle] = []
        self._thread: threading.Thread | None = None

    def at(self, when: float, handle: DelayedHandle) -> None:
        """Have a handle send what waits at a time (monotonic)."""
        with self._changed:
            self._due[handle] = when
            if self._thread is None:
                exits.prepare()
                self._thread = threading.Thread(target=self._run, name="sse-progress", daemon=True)
                self._thread.start()
            self._changed.notify()

    def flush(self) -> None:
        """Have all of them send it now, behind what the thread is sending."""
        with self._changed:
            handles = [*self._sending, *self._due]
            self._due.clear()
            self._changed.notify()
        for handle in handles:
            handle.send_waiting()

    def _run(self) -> None:
        while (handles := self._wait()) is not None:
            for handle in handles:
                handle.send_waiting()

    def _wait(self) -> list[DelayedHandle] | None:
        """The handles whose time has come; None when none waits any more."""
        with self._changed:
            while self._due:
                now = time.monotonic()
                found = [handle for handle, when in self._due.items() if when <= now]
                for handle in found:
                    del self._due[handle]
                self._sending = found
                if found:
                    return found
                self._changed.wait(min(self._due.values()) - now)
            self._thread = None
        return None

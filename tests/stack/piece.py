"""One process of the stack, which is to run all the time: started again when it ends, as ``restart:`` does."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from gateway.demo.children import Child

FIRST_PAUSE_S: Final = 1.0
MAX_PAUSE_S: Final = 10.0
STABLE_S: Final = 10.0
SHELL: Final = ("/bin/sh", "-c", 'log="$1"; shift; exec "$@" >>"$log" 2>&1', "sh")
"""Writes to a log, and becomes the program itself."""


class StackPart:
    """``ready`` says whether it answers; it may raise ``OSError``. Its output is in ``log``."""

    def __init__(
        self,
        name: str,
        command: Sequence[object],
        ready: Callable[[], bool],
        *,
        environ: Mapping[str, str],
        log: Path,
    ) -> None:
        self.name = name
        self.log = log
        self._command = [*SHELL, str(log), *map(str, command)]
        self._environ = dict(environ)
        self._ready = ready
        self._pause_s = FIRST_PAUSE_S
        self._back_at = 0.0

    def start(self) -> None:
        self.child = Child(self._command, environ=self._environ)
        self._since = time.monotonic()
        self._away = False

    def is_ready(self) -> bool:
        try:
            return self._ready()
        except OSError:
            return False

    @property
    def has_ended(self) -> bool:
        return self.child.exit_code is not None

    def look(self) -> str | None:
        """Notice its end, and start it again in time; a sentence where there is news."""
        now = time.monotonic()
        if self._away:
            if now < self._back_at:
                return None
            self.start()
            return f"{self.name} has started again (pid {self.child.pid})."
        if not self.has_ended:
            return None
        self._away = True
        self._pause_s = FIRST_PAUSE_S if now - self._since > STABLE_S else min(MAX_PAUSE_S, 2 * self._pause_s)
        self._back_at = now + self._pause_s
        return f"{self.name} has ended (pid {self.child.pid}, code {self.child.exit_code}); see {self.log}."

    def ends_within(self, seconds: float) -> None:
        """Wait for the end that it was asked for; it is killed where that takes longer."""
        deadline = time.monotonic() + seconds
        while not self.has_ended and time.monotonic() < deadline:
            time.sleep(0.02)
        self.child.stop()

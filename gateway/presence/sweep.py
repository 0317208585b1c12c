"""When a node looks for what others have left behind, and how far it has come. Pure."""

from __future__ import annotations


class Sweep:
    """``every_s`` seconds lie between two pages."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._due_at = 0.0
        self._cursor = "0"

    def due(self, now: float) -> str:
        """The cursor of the page to look at; empty where it is too early for one."""
        if now < self._due_at:
            return ""
        self._due_at = now + self._every_s
        return self._cursor

    def went_to(self, cursor: str) -> None:
        """A page was looked at, and ``cursor`` is that of the next; empty where none was."""
        self._cursor = cursor or self._cursor

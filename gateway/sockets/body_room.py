"""The room that one node has for the bodies of requests that are not answered yet. Pure."""

from __future__ import annotations

from typing import Final

ROOM_BYTES: Final = 32 * 1024 * 1024
"""32 of the largest bodies, or 2,000 of the size that a ticket's may have."""


class BodyRoom:
    """Shared by all connections of a node."""

    def __init__(self, size: int = ROOM_BYTES) -> None:
        self._free = size

    def take(self, size: int) -> bool:
        """Whether there was room for so many bytes more; give them back with :meth:`give`."""
        if size > self._free:
            return False
        self._free -= size
        return True

    def give(self, size: int) -> None:
        self._free += size

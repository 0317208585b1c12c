"""What a child process must not share with its parent: locks, threads and events that wait are made anew there."""

from __future__ import annotations

import os
from typing import Final, Protocol
from weakref import WeakSet


class Forkable(Protocol):
    """Something with a state that belongs to one process."""

    def _after_fork(self) -> None:
        """Forget the parent's state. Runs in the child, before anything else does."""


_known: Final[WeakSet[Forkable]] = WeakSet()


def register(thing: Forkable) -> None:
    """Have ``thing._after_fork()`` called in every child forked from now on."""
    _known.add(thing)


def _in_child() -> None:
    for thing in list(_known):
        thing._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)

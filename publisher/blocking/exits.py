"""Open publishers are closed when their process ends: what waits is sent, or the log says that it is lost. What is
known here are their senders, which live on while something waits, also when nobody holds the publisher any more."""

from __future__ import annotations

import atexit
import os
import sys
from typing import Final, Protocol
from weakref import WeakSet


class Closable(Protocol):
    """Something that is to be closed in the end."""

    def close(self) -> None: ...


_open: Final[WeakSet[Closable]] = WeakSet()
_prepared: Final[set[int]] = set()
"""The child processes that will close their publishers: this one, at most."""


def register(sender: Closable) -> None:
    """Close it when the process ends."""
    _open.add(sender)


def forget(sender: Closable) -> None:
    """It was closed."""
    _open.discard(sender)


def prepare() -> None:
    """Something waits from now on. A child of ``multiprocessing`` ends without ``atexit``, and forgets at its beginning
    what was registered in its parent: it has to be told in the child itself."""
    process = sys.modules.get("multiprocessing.process")
    if process is None or process.parent_process() is None or os.getpid() in _prepared:
        return
    from multiprocessing.util import Finalize

    _prepared.clear()
    _prepared.add(os.getpid())
    Finalize(None, _close_all, exitpriority=0)


@atexit.register
def _close_all() -> None:
    for sender in list(_open):
        sender.close()

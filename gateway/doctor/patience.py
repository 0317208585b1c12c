"""A bound in time for work that has none of its own, such as looking up a host name."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class TookTooLong(Exception):
    """The work was not done in time. Its thread may go on; it does not keep the process alive."""


def bounded(work: Callable[[], T], seconds: float) -> T:
    """The result of ``work``, or its exception. Raises :class:`TookTooLong`."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="doctor", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TookTooLong
    return results[0]

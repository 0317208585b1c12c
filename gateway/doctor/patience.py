"""A bound in time for work that has none of its own, such as looking up a host name, and what it comes to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

from gateway.doctor.finding import Finding, problem

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


def within(seconds: float, check: str, work: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """What was found in this time, and that there was not enough of it."""
    found: list[Finding] = []
    try:
        bounded(lambda: found.extend(work()), seconds)
    except TookTooLong:
        return [
            *found,
            problem(
                check, f"not finished within {seconds:g} s", "Look at the network in between, and at the name service."
            ),
        ]
    except Exception as error:  # a server may answer any nonsense, and the report must come all the same
        found.append(
            problem(check, f"what came back makes no sense ({type(error).__name__})", "Check what listens there.")
        )
    return found

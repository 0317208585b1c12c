"""What callers may give by name: the options of a publisher and the fields of a job, each written down once.

Both sides take them as ``**given: Unpack[…]``, so that editors and type checkers know them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypedDict

OnError = Literal["raise", "buffer"]
OnWorkerLost = Literal["fail", "wait"]
LogLevel = Literal["debug", "info", "warning", "error"]


class PublisherOptions(TypedDict, total=False):
    """The defaults and the legal ranges are those of :class:`publisher.core.options.Options`."""

    prefix: str
    on_error: OnError
    history_events: int
    history_ttl_s: int
    buffer_events: int
    max_event_bytes: int
    flush_timeout_s: float
    buffer_bytes: int


class ProgressFields(TypedDict, total=False):
    """How far a job is, beside the percentage. What is absent or None stays as it was."""

    message: str | None
    stage: str | None
    current: float | None
    total: float | None


class JobOptions(TypedDict, total=False):
    """How a worker holds a job. ``lease_s`` (30): without a sign of life for so long it counts as lost; None: never.
    ``on_worker_lost`` (``"fail"``): the job fails then, or with ``"wait"`` is pending until its queue runs it again.
    ``adopt`` (False): the job's own kind counts where it differs from the one that is given.
    ``progress_interval_s`` (0): progress that comes closer together is merged; the last is always sent."""

    lease_s: float | None
    on_worker_lost: OnWorkerLost
    adopt: bool
    progress_interval_s: float


class ItemFields(TypedDict, total=False):
    """How far one of a job's files is. What is absent or None stays as it was."""

    filename: str | None
    status: str | None
    progress: float | None
    message: str | None


class JobChanges(ProgressFields, total=False):
    """What somebody who is not the job's worker may change."""

    status: str | None
    progress: float | None
    item: dict[str, Any] | None
    result: Any
    error: str | dict[str, Any] | None
    reasoning: str | None
    text: str | None
    part: dict[str, Any] | None


def check(given: Mapping[str, object], known: Any, what: str) -> None:
    """Raise ``TypeError`` for a name that a TypedDict does not have, as Python does for arguments."""
    legal: frozenset[str] = known.__optional_keys__
    if not legal >= given.keys():
        unknown = ", ".join(sorted(given.keys() - legal))
        raise TypeError(f"{what} does not take {unknown}; it takes {', '.join(sorted(legal))}.")

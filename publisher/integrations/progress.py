"""A queue's own convention of progress, said to its job as well."""

from __future__ import annotations

import contextlib
from typing import Any, NamedTuple

from publisher.current import current_job


class SaidProgress(NamedTuple):
    """What ``progress()`` is to be called with."""

    value: Any
    counts: dict[str, Any]


def read(said: Any) -> SaidProgress:
    """What a task told its queue: a percentage, or a dict with ``current`` and perhaps ``total``. Raises ``TypeError``
    or ``ValueError``, as ``progress()`` does, for what is no number."""
    if not isinstance(said, dict):
        return SaidProgress(said, {})
    counts = {name: said[name] for name in ("current", "total") if said.get(name) is not None}
    current, total = said.get("current"), said.get("total")
    share = min(100.0, 100 * current / total) if current is not None and total else None
    return SaidProgress(share, counts)


def mirror(said: Any) -> None:
    """Report what a task told its queue. What is no number there is left out. Raises :class:`JobCancelled` as
    ``progress()`` does."""
    with contextlib.suppress(TypeError, ValueError):
        value, counts = read(said)
        current_job().progress(value, **counts)


async def mirror_async(said: Any) -> None:
    """The same in a coroutine task."""
    with contextlib.suppress(TypeError, ValueError):
        value, counts = read(said)
        await current_job().progress(value, **counts)

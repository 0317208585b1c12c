"""What a stream route answers: which channels, in which dialect, under which conditions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.fanout.encoder import Encoder
from publisher.job import Job


def any_job(job: Job) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Plan:
    """``accepts_job`` is a dialect's own condition (a kind, a provider): a job that fails it is not found. ``last``: a
    stream without a cursor begins with so many events of each channel's history. ``hidden``: the channels are the
    nodes' own, and nobody is told who listens to them."""

    channels: tuple[str, ...]
    encoder: Encoder
    accepts_job: Callable[[Job], bool] = any_job
    last: int = 0
    hidden: bool = False

    @property
    def counted(self) -> tuple[str, ...]:
        """Channels that the stream counts for."""
        return () if self.hidden else self.channels


Lookup = Callable[[], Awaitable[Plan | None]]
"""Finds out what is to be streamed, which has to be asked for; None where there is nothing (204)."""

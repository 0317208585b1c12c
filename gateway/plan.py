"""What a stream route answers: which channels, in which dialect, under which conditions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.encoder import Encoder
from publisher.job import Job


def any_job(job: Job) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Plan:
    """``accepts_job`` is a dialect's own condition (a kind, a provider): a job that fails it is not found."""

    channels: tuple[str, ...]
    encoder: Encoder
    accepts_job: Callable[[Job], bool] = any_job

"""Rounds in turn, so that what disturbs a machine for a while disturbs all systems alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from tests.bench.measurement import Sample
from tests.bench.progress import show

T = TypeVar("T")


def alternate(
    contestants: Sequence[T], rounds: int, measure: Callable[[T], Sample], name: Callable[[T], str], title: str
) -> list[list[Sample]]:
    """The samples of each contestant. Every other round runs in reverse, so that nobody is always first."""
    samples: list[list[Sample]] = [[] for _ in contestants]
    for number in range(rounds):
        order = list(range(len(contestants)))
        for index in reversed(order) if number % 2 else order:
            show(f"{title}: round {number + 1} of {rounds}, {name(contestants[index])}")
            samples[index].append(measure(contestants[index]))
    return samples

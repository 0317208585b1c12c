"""Where in its plan a job is: stages inside stages, and the share of the whole that each fills. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from publisher import jsontext

SEPARATOR: Final = "/"
MAX_DEPTH: Final = 16
MAX_PLANNED: Final = 1000


class _Stage:
    """``low`` to ``high`` is its share of the job's 0 to 100; ``planned`` whether that was reserved for it."""

    def __init__(self, name: str, low: float, high: float, *, planned: bool) -> None:
        self.name = name
        self.low = low
        self.high = high
        self.planned = planned
        self.shares: dict[str, tuple[float, float]] = {}

    def at(self, percent: float) -> float:
        return self.low + (self.high - self.low) * percent / 100


class Stages:
    """The stages that a worker is in, the outermost first."""

    def __init__(self) -> None:
        self._path = [_Stage("", 0.0, 100.0, planned=True)]
        self._reached = 0.0

    @property
    def inside(self) -> bool:
        """Whether there is a stage around the work."""
        return len(self._path) > 1

    @property
    def path(self) -> str:
        """The names from the outside in: ``render/frames``."""
        return SEPARATOR.join(stage.name for stage in self._path[1:])

    def plan(self, weights: Mapping[str, float]) -> None:
        """Reserve shares of the present stage (or the job) for the stages to come, in this order.

        Raises ``ValueError`` for names or weights that make no sense.
        """
        found: object = weights
        if not isinstance(found, Mapping) or not 1 <= len(found) <= MAX_PLANNED:
            raise ValueError('A plan is a dict of stages and their weights, such as {"load": 1, "render": 3}.')
        given = {_name(name): float(jsontext.real(weight, "A stage's weight")) for name, weight in weights.items()}
        total = sum(given.values())
        if not all(math.isfinite(weight) and weight >= 0 for weight in given.values()) or not total > 0:
            raise ValueError("A plan's weights must be numbers from 0 on, and not all of them 0.")
        here, done = self._path[-1], 0.0
        here.shares = {}
        for name, weight in given.items():
            here.shares[name] = (here.at(100 * done / total), here.at(100 * (done + weight) / total))
            done += weight

    def enter(self, name: str) -> float:
        """Begin a stage; the job's progress at its beginning. One that is not planned has the whole of the stage
        around it."""
        if len(self._path) > MAX_DEPTH:
            raise ValueError(f"Stages may be nested at most {MAX_DEPTH} deep.")
        here = self._path[-1]
        low, high = here.shares.get(_name(name), (here.low, here.high))
        self._path.append(_Stage(name, low, high, planned=name in here.shares))
        return self.overall(0)

    def leave(self) -> float | None:
        """End the innermost stage well: it has filled its share. None where it had none of its own."""
        stage = self._path.pop()
        if not stage.planned:
            return None
        self._reached = max(self._reached, stage.high)
        return self._shown()

    def abandon(self) -> None:
        """Leave the innermost stage in the middle."""
        self._path.pop()

    def overall(self, percent: float) -> float:
        """The job's progress where the innermost stage has got so far; never less than before."""
        if not self.inside:
            self._reached = percent
        else:
            self._reached = max(self._reached, self._path[-1].at(min(100.0, max(0.0, percent))))
        return self._shown()

    def _shown(self) -> float:
        return round(self._reached, 2)


def _name(name: object) -> str:
    if not isinstance(name, str) or not name or SEPARATOR in name:
        raise ValueError(f"A stage's name must be text without {SEPARATOR}, such as 'render'.")
    return str.__str__(name)

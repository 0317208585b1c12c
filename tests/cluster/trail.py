"""The way of one client through one channel, step by step, and what is wrong with it. Pure.

Every block that a stream sends carries a cursor, so each step has a position (epoch, number, mark). In dialects that
have a word for a loss (``stream.reset``), positions must go up by exactly one, or a reset stands between. The other
dialects pass over events that they have no word for, and after a loss they tell the state anew; what they passed over
is noted, and compared later with what is known to have been there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from publisher.envelope import NO_MARK, Position


class Kind(Enum):
    """What a block is: the stream's first words, a newest state, a reset, an event."""

    GREETING = "greeting"
    STATE = "state"
    RESET = "reset"
    EVENT = "event"


class TrailStep(NamedTuple):
    """One block. ``fresh``: on a connection that was opened without a cursor. ``number`` is the publisher's."""

    at: float
    kind: Kind
    position: Position
    number: int | None = None
    fresh: bool = False


class Skip(NamedTuple):
    """A jump from one position to another without a word; ``since`` is when the client had come to the first."""

    since: float
    at: float
    before: Position
    after: Position


class Wrong(NamedTuple):
    """An event that should not have come here."""

    at: float
    what: str


@dataclass
class Trail:
    """``has_word``: whether the dialect tells of a loss and has a word for every event."""

    channel: str
    has_word: bool
    have: Position | None = None
    last_number: int = 0
    events: int = 0
    resets: list[float] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)
    repeated: list[Wrong] = field(default_factory=list)
    unordered: list[Wrong] = field(default_factory=list)
    forks: list[Wrong] = field(default_factory=list)
    """Events that this client saw after another one than the other clients did: one of them missed something."""
    _anew: bool = True
    """Right after a beginning or a loss: the state may be told in several blocks of one position."""

    _resetting: bool = False
    """From a reset to the next event: the cursor moves with the last word of the state."""
    _stateless: bool = False
    """From a reset to the next word: where there is no state to tell, the cursor moves with the next event."""
    _came_at: float = 0.0

    def take(self, step: TrailStep) -> bool:
        """Go one step on; True where it is an event that directly follows the one before."""
        here, self.have = self.have, step.position
        since, self._came_at = self._came_at, step.at
        if step.kind is Kind.RESET:
            self.resets.append(step.at)
            self._resetting = self._stateless = True
            self._begin()
            return False
        elif here is None or step.fresh:
            self._begin()
            if step.kind is Kind.EVENT:
                self._count(step)
        elif step.position == here:
            if step.kind is Kind.EVENT and not self._anew:
                self.repeated.append(Wrong(step.at, f"{self.channel} at {here.seq}"))
        else:
            return self._move(here, step, since)
        self._stateless = False
        return False

    def _move(self, here: Position, step: TrailStep, since: float) -> bool:
        follows = _follows(here, step.position)
        if not follows and not (self._stateless or (self._resetting and step.kind is Kind.STATE)):
            self._jump(here, step, since)
        self._stateless = False
        if step.kind is Kind.EVENT:
            self._check_number(step)
            self._count(step)
            self._anew = self._resetting = False
        return follows and step.kind is Kind.EVENT

    def _check_number(self, step: TrailStep) -> None:
        if step.number is not None and step.number <= self.last_number:
            wrong = self.repeated if step.number == self.last_number else self.unordered
            wrong.append(Wrong(step.at, f"{self.channel} {step.number} after {self.last_number}"))

    def _count(self, step: TrailStep) -> None:
        self.events += 1
        self.last_number = step.number or self.last_number

    def _begin(self) -> None:
        self._anew = True
        self.last_number = 0

    def _jump(self, here: Position, step: TrailStep, since: float) -> None:
        """Something lies between, or the history is another one."""
        self.skips.append(Skip(since, step.at, here, step.position))
        if step.position.epoch != here.epoch or step.position.seq <= here.seq:
            self._begin()


def _follows(here: Position, there: Position) -> bool:
    if here.mark == NO_MARK:
        return there.seq == 1
    return there.epoch == here.epoch and there.seq == here.seq + 1

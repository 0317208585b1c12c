"""What was there to be seen: every position that any client of a dialect with a word for everything has seen."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

from publisher.envelope import Position


class Fact(NamedTuple):
    """An event that was there."""

    type: str
    number: int | None


@dataclass
class Truth:
    """By channel: positions, and which numbers were seen at all."""

    facts: dict[str, dict[Position, Fact]] = field(default_factory=lambda: defaultdict(dict))
    numbers: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    at: dict[str, dict[tuple[str, int], set[str]]] = field(default_factory=lambda: defaultdict(dict))
    """Marks by epoch and number: more than one where a number was given out again."""
    before: dict[str, dict[Position, Position]] = field(default_factory=lambda: defaultdict(dict))
    """The event that came directly before another, as the first client saw it."""

    def saw(self, channel: str, position: Position, type_: str, number: int | None) -> None:
        """Somebody saw this event."""
        self.facts[channel][position] = Fact(type_, number)
        self.at[channel].setdefault((position.epoch, position.seq), set()).add(position.mark)
        if number is not None:
            self.numbers[channel].add(number)

    def linked(self, channel: str, before: Position, after: Position) -> Position:
        """Two events followed each other; returns what others have seen before the second."""
        return self.before[channel].setdefault(after, before)

    def between(self, channel: str, before: Position, after: Position) -> list[Fact]:
        """The events of one epoch between two positions."""
        facts = self.facts[channel]
        return [
            facts[Position(after.epoch, seq, mark)]
            for seq in range(before.seq + 1, after.seq)
            for mark in self.at[channel].get((after.epoch, seq), ())
        ]

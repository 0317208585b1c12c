"""Which events of one channel one stream has had: the honest check of a load test. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

MAX_GAPS: Final = 1000
"""A stream with more separate gaps than this is broken beyond detail: the oldest of them is lost for good."""


class StreamLedger:
    """Events are numbered 1, 2, 3 … by the load test itself."""

    __slots__ = ("_forgotten", "_gaps", "disordered", "following", "received", "repeated", "skipped")

    def __init__(self) -> None:
        self.following = 1
        """The number that is due next."""
        self.received = 0
        self.repeated = 0
        self.disordered = 0
        """Arrived after a later one."""
        self.skipped = 0
        """Left out with a ``stream.reset`` that said so."""
        self._gaps: list[tuple[int, int]] = []
        self._forgotten = 0

    def take(self, numbers: Sequence[int], consecutive: bool) -> None:
        """Events that have arrived, in this order; ``consecutive`` where each is one more than the one before."""
        self.received += len(numbers)
        if consecutive and numbers[0] == self.following:
            self.following = numbers[-1] + 1
            return
        for number in numbers:
            self._one(number)

    def reset(self, number: int) -> None:
        """The stream has told that it goes on at ``number``, and that what lies before it cannot be had."""
        if number > self.following:
            self.skipped += number - self.following
            self.following = number

    def lacking(self, last: int) -> tuple[int, int]:
        """(events missing between others, events missing at the end) when ``last`` was the last one published."""
        return self._forgotten + sum(stop - start for start, stop in self._gaps), max(0, last + 1 - self.following)

    def _one(self, number: int) -> None:
        if number == self.following:
            self.following = number + 1
        elif number > self.following:
            self._gaps.append((self.following, number))
            self.following = number + 1
            if len(self._gaps) > MAX_GAPS:
                start, stop = self._gaps.pop(0)
                self._forgotten += stop - start
        elif self._fill(number):
            self.disordered += 1
        else:
            self.repeated += 1

    def _fill(self, number: int) -> bool:
        for index, (start, stop) in enumerate(self._gaps):
            if start <= number < stop:
                rest = [(start, number), (number + 1, stop)]
                self._gaps[index : index + 1] = [gap for gap in rest if gap[0] < gap[1]]
                return True
        return False

"""Subjects whose tokens are refused from a moment on. Bounded: the oldest go first. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import Final

MAX_SUBJECTS: Final = 100_000


class Newest:
    """Subjects, and for each the newest moment at which something was decided about it."""

    def __init__(self, *, max_subjects: int = MAX_SUBJECTS) -> None:
        self._max = max_subjects
        self._at: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._at)

    def items(self) -> Iterator[tuple[str, int]]:
        return iter(self._at.items())

    def learn(self, found: Iterable[tuple[str, int]]) -> list[str]:
        """Take these in; returns the subjects for which they were news."""
        news = []
        for subject, at in found:
            if at > self._at.get(subject, -1):
                self._at[subject] = at
                news.append(subject)
        # Some more than allowed may stay for a while, so that not every further one costs a look at all of them.
        if len(self._at) > self._max + self._max // 10:
            self._at = dict(heapq.nlargest(self._max, self._at.items(), key=lambda item: item[1]))
        return news


class Revocations(Newest):
    """Subject and second (Unix, by the clock of Redis) of its newest revocation."""

    def __init__(self, *, max_subjects: int = MAX_SUBJECTS, leeway_s: float = 0) -> None:
        """``leeway_s``: how far the clock of a token's issuer may be ahead."""
        super().__init__(max_subjects=max_subjects)
        self._leeway_s = leeway_s

    def revoked(self, subject: str, issued_at: float | None) -> bool:
        """Whether a token of this subject is refused: it was issued in or before the second of the revocation, or says
        so little later that its issuer's clock may just have been ahead. One that does not say when counts as old."""
        at = self._at.get(subject)
        return at is not None and (issued_at is None or int(issued_at) <= at + self._leeway_s)

"""The cases by name, in the order in which they run."""

from __future__ import annotations

from typing import Final, Protocol

from tests.bench.cases import (
    answers,
    attacks,
    burst,
    connect,
    dialects,
    growth,
    memory,
    mix,
    nodes,
    processes,
    publish,
    resume,
    steady,
    viewers,
    workers,
)
from tests.bench.measurement import Row
from tests.bench.options import RunOptions


class Case(Protocol):
    """A module of this folder."""

    @property
    def NAME(self) -> str: ...
    @property
    def SUMMARY(self) -> str: ...
    @property
    def COLUMNS(self) -> tuple[str, ...]: ...
    def run(self, options: RunOptions) -> list[Row]: ...


_ALL: Final[tuple[Case, ...]] = (
    steady,
    burst,
    viewers,
    mix,
    resume,
    connect,
    memory,
    publish,
    growth,
    dialects,
    nodes,
    processes,
    attacks,
    workers,
    answers,
)
CASES: Final[dict[str, Case]] = {case.NAME: case for case in _ALL}

"""The cases by name, in the order in which they run."""

from __future__ import annotations

from typing import Final, Protocol

from tests.bench.cases import burst, connect, dialects, growth, memory, mix, nodes, publish, resume, steady, viewers
from tests.bench.measurement import Row
from tests.bench.options import Options


class Case(Protocol):
    """A module of this folder."""

    @property
    def NAME(self) -> str: ...
    @property
    def SUMMARY(self) -> str: ...
    @property
    def COLUMNS(self) -> tuple[str, ...]: ...
    def run(self, options: Options) -> list[Row]: ...


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
)
CASES: Final[dict[str, Case]] = {case.NAME: case for case in _ALL}

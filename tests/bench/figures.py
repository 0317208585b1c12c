"""The figures of a whole run, as they were written to a file. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from tests.bench.histogram import merged
from tests.bench.measurement import Row

NAN: Final = float("nan")


@dataclass(frozen=True)
class SystemLine:
    """One system in one setting: medians, and the latencies of all rounds together."""

    case: str
    setting: str
    system: str
    label: str
    figures: dict[str, float]
    rounds: list[dict[str, float]]
    latency_us: dict[int, int]

    @classmethod
    def of(cls, row: Row) -> SystemLine:
        figures = {name: round(row.figure(name), 4) for name in row.names()}
        rounds = [{name: round(value, 4) for name, value in each.figures.items()} for each in row.samples]
        latency = merged(sample.latency for sample in row.samples)
        return cls(row.case, row.setting, row.system, row.label, figures, rounds, dict(sorted(latency.items())))

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def connections(self) -> int:
        """The number that the setting begins with; 0 for none."""
        first = self.setting.split(" ")[0].replace(",", "")
        return int(first) if first.isdigit() else 0


class Figures:
    """What was measured, and on what."""

    def __init__(self, machine: dict[str, str], lines: list[SystemLine]) -> None:
        self.machine = machine
        self.lines = lines

    @classmethod
    def of(cls, machine: dict[str, str], rows: Iterable[Row]) -> Figures:
        return cls(machine, [SystemLine.of(row) for row in rows])

    def updated(self, newer: Figures) -> Figures:
        """These, but for the cases that were measured anew."""
        cases = {line.case for line in newer.lines}
        return Figures(newer.machine, [line for line in self.lines if line.case not in cases] + newer.lines)

    def as_json(self) -> dict[str, Any]:
        return {"machine": self.machine, "rows": [line.as_json() for line in self.lines]}

    @classmethod
    def load(cls, path: Path) -> Figures:
        return cls.from_json(json.loads(path.read_text("utf-8")))

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Figures:
        lines = [
            SystemLine(**{**row, "latency_us": {int(edge): count for edge, count in row["latency_us"].items()}})
            for row in document["rows"]
        ]
        return cls(document["machine"], lines)

    def select(self, case: str, *, setting: str = "", system: str | None = None) -> Iterator[SystemLine]:
        """The lines of a case whose setting holds this text, in the order in which they were measured."""
        for line in self.lines:
            if line.case == case and setting in line.setting and system in (None, line.system):
                yield line

    def value(self, case: str, system: str, name: str, setting: str = "") -> float:
        """One median; NaN where it was not measured."""
        found = next(self.select(case, setting=setting, system=system), None)
        return NAN if found is None else found.figures.get(name, NAN)

"""The memory of the nodes over a long run and its faults, as a picture: ``python -m tests.cluster.plot JSON SVG``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

WIDTH, HEIGHT = 960, 420
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 40, 44
COLOURS = ("#1f77b4", "#d95f02", "#2ca02c", "#7b3294")
STEPS_MB = (5, 10, 20, 50, 100, 200, 500, 1000)
STEPS_S = (10, 30, 60, 120, 300, 600, 1800, 3600)


class Plot:
    """Coordinates of one picture."""

    def __init__(self, report: dict[str, Any]) -> None:
        self._report = report
        self._samples: list[dict[str, Any]] = report["memory"]
        self._seconds: float = max(1.0, report["seconds"])
        highest = max((max(sample["rss_bytes"]) for sample in self._samples), default=0) / 1e6
        self._step_mb = _step(STEPS_MB, highest, 6)
        self._top_mb = self._step_mb * (int(highest / self._step_mb) + 1)

    def _x(self, seconds: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * seconds / self._seconds, 1)

    def _y(self, megabytes: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * megabytes / self._top_mb, 1)

    def svg(self) -> str:
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
            'font-size="12"><rect width="100%" height="100%" fill="#fff"/>'
        )
        parts = [head, *self._title(), *self._faults(), *self._axes(), *self._curves(), "</svg>\n"]
        return "\n".join(parts)

    def _title(self) -> Iterator[str]:
        faults, accepted = len(self._report["faults"]), self._report["accepted"]
        words = f"Memory of each node over {faults} faults and {accepted:,} events (seed {self._report['seed']})"
        yield f'<text x="{LEFT}" y="22" font-size="15">{escape(words)}</text>'

    def _faults(self) -> Iterator[str]:
        for fault in self._report["faults"]:
            start, end = self._x(fault["from"]), self._x(fault.get("to", self._seconds))
            broke = bool(fault.get("problems"))
            yield (
                f'<rect x="{start}" y="{TOP}" width="{max(1.0, end - start):.1f}" height="{HEIGHT - TOP - BOTTOM}" '
                f'fill="{"#e41a1c" if broke else "#999"}" opacity="0.18"><title>{escape(fault["name"])}</title></rect>'
            )

    def _axes(self) -> Iterator[str]:
        for megabytes in range(0, self._top_mb + 1, self._step_mb):
            y = self._y(megabytes)
            yield f'<line x1="{LEFT}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}" stroke="#ddd"/>'
            yield f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{megabytes} MB</text>'
        step = _step(STEPS_S, self._seconds, 10)
        for seconds in range(0, int(self._seconds) + 1, step):
            place = f'x="{self._x(seconds)}" y="{HEIGHT - BOTTOM + 18}"'
            yield f'<text {place} text-anchor="middle">{seconds // 60}:{seconds % 60:02d}</text>'
        yield f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 8}" text-anchor="end">minutes; grey: a fault is on</text>'

    def _curves(self) -> Iterator[str]:
        for index in range(max((len(sample["rss_bytes"]) for sample in self._samples), default=0)):
            colour = COLOURS[index % len(COLOURS)]
            for run in self._runs(index):
                points = " ".join(f"{self._x(at)},{self._y(size / 1e6)}" for at, size in run)
                yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
            yield f'<text x="{LEFT + 70 * index}" y="{HEIGHT - 8}" fill="{colour}">node {index + 1}</text>'

    def _runs(self, index: int) -> Iterator[list[tuple[float, int]]]:
        """The stretches in which a node ran."""
        run: list[tuple[float, int]] = []
        for sample in self._samples:
            if sample["rss_bytes"][index]:
                run.append((sample["at"], sample["rss_bytes"][index]))
            elif run:
                yield run
                run = []
        if run:
            yield run


def _step(steps: Sequence[int], length: float, most: int) -> int:
    """The smallest step that needs no more than so many."""
    return next((step for step in steps if length / step <= most), steps[-1])


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 2:
        print("Name the JSON of a run and the SVG to write: python -m tests.cluster.plot build/chaos.json out.svg")
        return 2
    source, target = Path(arguments[0]), Path(arguments[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(Plot(json.loads(source.read_text())).svg())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

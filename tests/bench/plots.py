"""The figures of a run as pictures for the documentation. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

from tests.bench.figures import Figures, SystemLine

COLOURS: Final = {
    "floor": "#7f7f7f",
    "floor-joined": "#b0b0b0",
    "nchan": "#d95f02",
    "nchan-redis": "#e6a05a",
    "handwritten": "#7b3294",
    "gateway": "#1f77b4",
    "gateway-clients": "#5ba3d9",
    "gateway-jwt": "#1f77b4",
    "gateway-jwt-own": "#5ba3d9",
}
STYLE: Final[Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "sse-gateway",
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "axes.axisbelow": True,
    "figure.facecolor": "white",  # a card of its own: readable on a dark page as well
    "axes.facecolor": "white",
}


def draw_all(figures: Figures, folder: Path, kinds: tuple[str, ...] = ("svg",)) -> list[Path]:
    """Draw what was measured; the files that were written. A picture of which nothing was measured stays as it is."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, draw in PICTURES.items():
        with matplotlib.rc_context(STYLE):
            figure, axes = pyplot.subplots(figsize=(8, 4.2), layout="constrained")
            if draw(figures, axes):
                for kind in kinds:
                    path = folder / f"bench-{name}.{kind}"
                    figure.savefig(path, metadata={"Date": None} if kind == "svg" else None)
                    written.append(path)
            pyplot.close(figure)
    return written


def _growth(figures: Figures, axes: Any) -> bool:
    lines = list(figures.select("growth"))
    if not lines:
        return False
    for system in dict.fromkeys(line.system for line in lines):
        points = [(line.connections, line.figures["cpu_us"]) for line in lines if line.system == system]
        label = next(line.label for line in lines if line.system == system)
        axes.plot(*zip(*points, strict=True), marker="o", color=COLOURS[system], label=label)
    axes.set_xlabel("connections")
    axes.set_ylabel("CPU µs per delivery")
    axes.set_title("What a delivery costs, by connections")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    return True


def _latency(figures: Figures, axes: Any) -> bool:
    lines = [line for line in figures.select("viewers") if line.latency_us]
    if not lines:
        return False
    for line in lines:
        axes.plot(*_tail(line), color=COLOURS[line.system], label=line.label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_yticks([1, 0.1, 0.01, 0.001], ["all", "10 %", "1 %", "0.1 %"])
    axes.set_ylim(0.0005, 1.2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("milliseconds from publish to client")
    axes.set_ylabel("deliveries that took longer")
    axes.set_title("How late events arrive: a channel of its own for each viewer")
    axes.legend(frameon=False)
    return True


def _tail(line: SystemLine) -> tuple[list[float], list[float]]:
    """The share of deliveries that took longer than so many ms."""
    edges = sorted(line.latency_us)
    total = sum(line.latency_us.values())
    seen = accumulate(line.latency_us[edge] for edge in edges)
    return [max(edge, 1) / 1000 for edge in edges], [1 - count / total for count in seen]


def _memory(figures: Figures, axes: Any) -> bool:
    lines = list(figures.select("memory"))
    if not lines:
        return False
    _bars(axes, lines, "kib_per_connection", lambda value: f"{value:.1f} KiB")
    axes.set_xlabel("KiB per idle connection")
    axes.set_title("Memory of an open stream")
    return True


def _burst(figures: Figures, axes: Any) -> bool:
    lines = [line for line in figures.select("burst", setting="1,000 ") if line.connections == 1000]
    if not lines:
        return False
    _bars(axes, lines, "deliveries_per_s", lambda value: f"{value:,.0f}")
    axes.set_xscale("log")
    axes.set_xlim(1000, max(line.figures["deliveries_per_s"] for line in lines) * 10)
    axes.set_xlabel("deliveries per second, 1,000 connections (logarithmic)")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_title("A burst on one channel")
    return True


def _bars(axes: Any, lines: list[SystemLine], name: str, shown: Callable[[float], str]) -> None:
    lines = list(reversed(lines))
    bars = axes.barh(
        [line.label for line in lines],
        [line.figures[name] for line in lines],
        color=[COLOURS[line.system] for line in lines],
    )
    axes.bar_label(bars, [shown(line.figures[name]) for line in lines], padding=4)
    axes.margins(x=0.15)
    axes.grid(axis="y", visible=False)


PICTURES: Final[dict[str, Callable[[Figures, Any], bool]]] = {
    "connections": _growth,
    "latency": _latency,
    "memory": _memory,
    "burst": _burst,
}

"""How the gateway grows, on paper: ``python -m tests.bench.scaling``. Prints tables, and with ``--plots`` draws them.

``docs/explanation/scaling.md`` shows both. The constants are measured ones: ``make bench`` for the node's,
``python -m tests.bench.redis_costs`` for those of Redis. ``--storm FILE`` draws what ``tests.bench.storm`` has measured
beside the model.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from tests.bench.scaling_model import Costs, Load, Need, Return, Storm, need, storm

SIZES: Final = (1_000, 20_000, 100_000, 300_000, 1_000_000)
RETRIES: Final = ((0.0, 0.1), (1.0, 5.0), (5.0, 15.0), (1.0, 20.0))
FLEETS: Final = (2, 3, 5, 10, 50)
PER_NODE: Final = 10_000
COLOURS: Final = ("#d95f02", "#1f77b4", "#7b3294", "#1b9e77", "#7f7f7f")
STYLE: Final[Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "sse-gateway",
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "figure.facecolor": "white",
    "axes.facecolor": "white",
}


LOADS: Final = {
    "Notifications": {"own_per_s": 0.02, "shared_per_s": 0.1, "visit_s": 600.0},
    "Progress of jobs": {"own_per_s": 0.5, "shared_per_s": 0.0, "visit_s": 60.0},
}


def fleet_table(costs: Costs, load: dict[str, float], sizes: Sequence[int] = SIZES) -> str:
    rows = [
        "| streams | nodes | a node's core | its memory | Redis' cores | servers | of a core: presence | Redis sends |"
    ]
    rows.append("|--:|--:|--:|--:|--:|--:|--:|--:|")
    for size in sizes:
        found = need(Load(size, **load), costs)  # type: ignore[arg-type]  # all of them are floats
        rows.append(
            f"| {size:,} | {found.nodes} | {found.node_cpu:.0%} | {found.node_memory / 2**20:,.0f} MiB | "
            f"{found.redis_cpu:.2f} | {found.shards} | {found.by_part['presence']:.1%} | {_bits(found)} |"
        )
    return "\n".join(rows)


def storm_table() -> str:
    """One node of a fleet dies; each has 10,000 streams."""
    rows = ["| nodes before | half are back | 95 % | all | refused tries per stream |", "|--:|--:|--:|--:|--:|"]
    for nodes in FLEETS:
        found = storm(Storm(PER_NODE, nodes - 1))
        rows.append(f"| {nodes} | {_times(found)} | {found.refusals / PER_NODE:.1f} |")
    return "\n".join(rows)


def restart_table() -> str:
    """Five nodes with 10,000 streams each; one goes."""
    ways: dict[str, Storm] = {
        "killed": Storm(PER_NODE, 4),
        "killed, `GATEWAY_RETRY_MS=5000-15000`": Storm(PER_NODE, 4, retry_s=(5, 15)),
        "drained over 10 s": Storm(PER_NODE, 4, over_s=9),
        "drained over 30 s": Storm(PER_NODE, 4, over_s=27),
        "killed, the others full": Storm(PER_NODE, 4, room=2000),
    }
    rows = ["| a node of five is | half are back | 95 % | all | refused tries per stream |", "|---|--:|--:|--:|--:|"]
    for name, plan in ways.items():
        found = storm(plan)
        rows.append(f"| {name} | {_times(found)} | {found.refusals / plan.streams:.1f} |")
    return "\n".join(rows)


def _times(found: Return) -> str:
    return " | ".join(f"{at:.1f} s" if (at := found.until(share)) < 1e9 else "never" for share in (0.5, 0.95, 1))


def _bits(found: Need) -> str:
    mbits = found.redis_bytes_per_s * 8 / 1e6
    return f"{mbits:,.0f} Mbit/s" if mbits >= 1 else f"{mbits:.1f} Mbit/s"


# Pictures ---


def draw_retries(axes: Any) -> None:
    """One of two nodes dies with 10,000 streams, for different ranges of ``retry``."""
    for colour, (low, high) in zip(COLOURS, RETRIES, strict=False):
        found = storm(Storm(PER_NODE, 1, retry_s=(low, high)))
        _curve(axes, found, colour, f"retry {low:g} to {high:g} s")
    axes.set_title("One of two nodes dies with 10,000 streams; the other one lets in 500 a second", fontsize=11)


def draw_fleets(axes: Any) -> None:
    for colour, nodes in zip(COLOURS, FLEETS[:4], strict=False):  # more nodes than ten look like ten
        _curve(axes, storm(Storm(PER_NODE, nodes - 1)), colour, f"one of {nodes} nodes")
    axes.set_title("A node dies with 10,000 streams, in fleets of different sizes", fontsize=11)


def draw_measured(axes: Any, measured: Sequence[dict[str, Any]]) -> None:
    for colour, each in zip(COLOURS, measured, strict=False):
        streams = each["streams"]
        plan = Storm(streams, 1, rate_per_s=each["rate_per_s"], over_s=9.0 if each["drain"] else 0.0, one_user=True)
        name = f"{streams:,} streams, {'drained' if each['drain'] else 'killed'}, {each['rate_per_s']}/s let in"
        _curve(axes, storm(plan), colour, f"{name}: model", "--")
        axes.plot(
            [at for at, _ in each["back"]], [100 * back / streams for _, back in each["back"]],
            color=colour, label=f"{name}: measured",
        )  # fmt: skip
    axes.set_title("Model and measurement", fontsize=11)


def _curve(axes: Any, found: Return, colour: str, label: str, style: str = "-") -> None:
    back = sorted(found.back_at)
    axes.plot(back, [100 * (index + 1) / found.streams for index in range(len(back))], style, color=colour, label=label)


def draw(folder: Path, measured: Sequence[dict[str, Any]]) -> list[Path]:
    """Needs matplotlib; the files that were written."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pictures: dict[str, Callable[[Any], None]] = {"retry": draw_retries, "fleet": draw_fleets}
    if measured:
        pictures["measured"] = lambda axes: draw_measured(axes, measured)
    written = []
    for name, fill in pictures.items():
        with matplotlib.rc_context(STYLE):
            figure, axes = pyplot.subplots(figsize=(8, 4.2), layout="constrained")
            fill(axes)
            axes.set_xlabel("seconds after the death of the node")
            axes.set_ylabel("streams open again, %")
            axes.set_xlim(left=0)
            axes.set_ylim(0, 102)
            axes.legend(frameon=False, loc="lower right")
            path = folder / f"scaling-{name}.svg"
            figure.savefig(path, metadata={"Date": None})
            written.append(path)
            pyplot.close(figure)
    return written


PAGE: Final = Path(__file__).parents[2] / "docs" / "explanation" / "scaling.md"


def tables(costs: Costs) -> dict[str, str]:
    """By the marker that stands around each of them on the page."""
    fleets = [f"*{name}*\n\n{fleet_table(costs, load)}" for name, load in LOADS.items()]
    return {"fleet": "\n\n".join(fleets), "storm": storm_table(), "restart": restart_table()}


def rewritten(page: str, costs: Costs) -> str:
    """The page with the model's tables between its markers."""
    for name, table in tables(costs).items():
        start, end = f"<!-- {name} -->\n", f"\n<!-- /{name} -->"
        before, _, rest = page.partition(start)
        page = f"{before}{start}{table}{end}{rest.partition(end)[2]}"
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="draw pictures into it, such as docs/images")
    parser.add_argument(
        "--storm", type=Path, nargs="*", default=[], metavar="FILE", help="what tests.bench.storm wrote"
    )
    parser.add_argument("--docs", action="store_true", help=f"write the tables into {PAGE.name}")
    given = parser.parse_args()
    print(*tables(Costs()).values(), sep="\n\n")
    if given.docs:
        PAGE.write_text(rewritten(PAGE.read_text("utf-8"), Costs()), "utf-8")
    if given.plots:
        for path in draw(given.plots, [json.loads(file.read_text("utf-8")) for file in given.storm]):
            print(path)


if __name__ == "__main__":
    main()

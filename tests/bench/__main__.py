"""The benchmark: ``make bench``. See docs/explanation/benchmarks.md for how to read what it prints."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.bench import document, machine, plots, progress, report
from tests.bench.cases.all import CASES
from tests.bench.figures import Figures
from tests.bench.goals import goals
from tests.bench.load import raise_file_limit
from tests.bench.measurement import Row
from tests.bench.options import RunOptions
from tests.bench.processes import stand_aside
from tests.bench.systems import choice


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog='make bench ARGS="…"', description="What a delivery costs, beside others.")
    found.add_argument("--list", action="store_true", help="tell which cases and systems there are")
    found.add_argument("--case", nargs="+", choices=list(CASES), metavar="CASE", help="only these; see --list")
    found.add_argument("--systems", nargs="+", choices=list(choice.ALL), metavar="SYSTEM", help="only these")
    found.add_argument("--quick", action="store_true", help="one short round of everything")
    found.add_argument("--rounds", type=int, help="rounds of each system, in turn; medians are compared")
    found.add_argument("--seconds", type=float, help="length of a round at an even pace")
    found.add_argument("--connections", type=int, nargs="+", help="instead of the case's own numbers")
    found.add_argument("--json", type=Path, metavar="FILE", help="add the figures to this file, case by case")
    found.add_argument("--read", action="store_true", help="measure nothing: take what --json has")
    found.add_argument("--plots", type=Path, metavar="FOLDER", help="draw pictures of what --json has")
    found.add_argument("--docs", action="store_true", help=f"write what --json has into {document.PAGE.name}")
    return found


def main() -> None:
    # Ended from outside, it takes along what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = parser().parse_args()
    if options.list:
        for name, case in CASES.items():
            print(f"{name:10}  {case.SUMMARY}")
        print("systems: " + ", ".join(choice.ALL))
        return
    if options.json is None and (options.read or options.plots or options.docs):
        parser().error("--read, --plots and --docs need --json FILE")
    figures = Figures.load(options.json) if options.json is not None and options.json.exists() else Figures({}, [])
    for rows in () if options.read else measure(options):
        figures = figures.updated(Figures.of(machine.facts(), rows))
        if options.json is not None:
            save(figures, options.json)
    print(report.goal_table(goals(figures)))
    if options.docs:
        document.PAGE.write_text(document.rewrite(document.PAGE.read_text("utf-8"), figures), "utf-8")
    for path in plots.draw_all(figures, options.plots) if options.plots else []:
        print(path)


def save(figures: Figures, path: Path) -> None:
    """After each case: who breaks off a long run keeps what it has measured."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures.as_json(), indent=1) + "\n", "utf-8")


def measure(given: argparse.Namespace) -> Iterator[list[Row]]:
    """Run the cases, and print each one's table as soon as it is there."""
    for sentence in dict.fromkeys(choice.absent().values()):
        print(sentence, file=sys.stderr)
    raise_file_limit()
    stand_aside()
    options = RunOptions(
        given.rounds,
        given.seconds,
        tuple(given.connections) if given.connections else None,
        tuple(given.systems) if given.systems else None,
        given.quick,
    )
    for name in given.case or CASES:
        found = CASES[name].run(options)
        progress.done()
        print(report.table(found, CASES[name].COLUMNS), flush=True)
        yield found


if __name__ == "__main__":
    main()

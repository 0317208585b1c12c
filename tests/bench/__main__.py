"""The benchmark: ``make bench``. See docs/explanation/benchmarks.md for how to read what it prints."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tests.bench import machine, progress, report
from tests.bench.cases.all import CASES
from tests.bench.load import raise_file_limit
from tests.bench.options import Options
from tests.bench.processes import stand_aside
from tests.bench.systems import choice


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description="What a delivery costs, beside others.")
    parser.add_argument("--case", nargs="+", choices=list(CASES), metavar="CASE", help="only these; see --list")
    parser.add_argument("--list", action="store_true", help="tell which cases and systems there are")
    parser.add_argument("--quick", action="store_true", help="one short round of everything")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="length of a steady round")
    parser.add_argument("--connections", type=int, nargs="+")
    parser.add_argument("--systems", nargs="+", choices=list(choice.ALL), metavar="SYSTEM")
    parser.add_argument("--json", type=Path, help="write all figures here")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    if given.list:
        for name, case in CASES.items():
            print(f"{name:10}  {case.SUMMARY}")
        print("systems: " + ", ".join(choice.ALL))
        return
    options = Options(
        given.rounds,
        given.seconds,
        tuple(given.connections) if given.connections else None,
        tuple(given.systems) if given.systems else None,
        given.quick,
    )
    for sentence in dict.fromkeys(choice.absent().values()):
        print(sentence, file=sys.stderr)
    raise_file_limit()
    stand_aside()
    rows = []
    for name in given.case or CASES:
        found = CASES[name].run(options)
        progress.done()
        print(report.table(found, CASES[name].COLUMNS), flush=True)
        rows += [row.as_json() for row in found]
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps({"machine": machine.facts(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""The figures of a run in docs/explanation/benchmarks.md, between its markers. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from tests.bench.cases.all import CASES
from tests.bench.figures import Figures
from tests.bench.formats import HEADINGS, number
from tests.bench.goals import Goal, goals

PAGE: Final = Path(__file__).parents[2] / "docs" / "explanation" / "benchmarks.md"


def rewrite(text: str, figures: Figures) -> str:
    """The page with new tables. Parts that this run did not measure stay as they are."""
    parts = {"machine": machine(figures), "goals": goal_table(figures, text)}
    for name, case in CASES.items():
        lines = list(figures.select(name))
        if lines:
            parts[name] = case_table(figures, name, case.COLUMNS)
    for name, table in parts.items():
        marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not marked.search(text):
            raise ValueError(f"The page has no place for {name}: it needs <!-- {name} --> and <!-- /{name} -->.")
        text = marked.sub(lambda found, table=table: f"{found[1]}{table}\n{found[2]}", text)  # type: ignore[misc]
    return text


def machine(figures: Figures) -> str:
    return ", ".join(f"{name} {value}" for name, value in figures.machine.items()) + "."


def goal_table(figures: Figures, text: str = "") -> str:
    """What was to be reached; of what was not measured, what ``text`` has of it."""
    rows = [goal.row() if goal.known else _told(text, goal) for goal in goals(figures)]
    return _table(("goal", "limit", "reached", ""), rows)


def _told(text: str, goal: Goal) -> tuple[str, ...]:
    said = re.search(rf"^\| {re.escape(goal.sentence)} \| (.+?) \| (.+?) \| (.+?) \|$", text, re.MULTILINE)
    return (goal.sentence, *said.groups()) if said else goal.row()


def case_table(figures: Figures, name: str, columns: Sequence[str]) -> str:
    """A table for each setting."""
    tables = []
    for setting, group in groupby(figures.select(name), lambda line: line.setting):
        lines = list(group)
        shown = [column for column in columns if any(column in line.figures for line in lines)]
        rows = [(line.label, *[number(line.figures.get(column, float("nan"))) for column in shown]) for line in lines]
        tables.append(_table((setting, *[HEADINGS.get(column, column) for column in shown]), rows))
    return "\n\n".join(tables)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)

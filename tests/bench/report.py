"""Figures as text. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from tests.bench.formats import HEADINGS, number
from tests.bench.goals import Goal
from tests.bench.measurement import Row


def table(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """The medians of one case, setting by setting, for a terminal."""
    lines = []
    for (case, setting), group in groupby(rows, lambda row: (row.case, row.setting)):
        of_setting = list(group)
        shown = [name for name in columns if any(name in row.names() for row in of_setting)]
        lines.append(f"{case}: {setting}")
        lines.append(" " * 34 + "".join(f"{HEADINGS.get(name, name):>22}" for name in shown))
        for row in of_setting:
            lines.append(f"  {row.label:32}" + "".join(f"{number(row.figure(name)):>22}" for name in shown))
        lines.append("")
    return "\n".join(lines)


def goal_table(goals: Sequence[Goal]) -> str:
    """What was to be reached, for those goals of which something was measured."""
    rows = [goal.row() for goal in goals if goal.known]
    return "\n".join(f"{sentence:74}{limit:>14}{reached:>14}  {verdict}" for sentence, limit, reached, verdict in rows)

"""From rounds to what the documentation says."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from tests.bench import document, histogram
from tests.bench.cases.all import CASES
from tests.bench.figures import Figures
from tests.bench.goals import goals
from tests.bench.measurement import Row, Sample


def row(case: str, system: str, setting: str = "1,000 connections", **figures: float) -> Row:
    return Row(case, setting, system, system, [Sample(figures)])


def figures(*rows: Row) -> Figures:
    return Figures.of({"cores": "2"}, rows)


def test_percentiles_count_deliveries_not_buckets() -> None:
    found = histogram.parse("1000:98 2000:1 50000:1")
    assert [histogram.percentile(found, p) for p in (50, 98, 99, 99.9)] == [1, 1, 2, 50]
    assert math.isnan(histogram.percentile(Counter(), 50))


def test_a_row_shows_the_median_of_its_rounds() -> None:
    found = Row("steady", "1 connection", "floor", "floor", [Sample({"cpu_us": value}) for value in (9, 1, 2)])
    assert found.figure("cpu_us") == 2
    assert math.isnan(found.figure("p50_ms"))


def test_figures_survive_their_file_and_are_replaced_case_by_case() -> None:
    before = figures(row("steady", "floor", cpu_us=10), row("burst", "floor", cpu_us=5))
    after = Figures.from_json(before.as_json()).updated(figures(row("steady", "floor", cpu_us=11)))
    assert after.value("steady", "floor", "cpu_us") == 11
    assert after.value("burst", "floor", "cpu_us") == 5


@pytest.mark.parametrize(("ours", "verdict"), [(15.9, "met"), (16.1, "**not met**")])
def test_a_goal_compares_with_another_system_of_the_same_setting(ours: float, verdict: str) -> None:
    elsewhere = row("steady", "nchan", "10,000 connections", cpu_us=1)
    measured = figures(elsewhere, row("steady", "nchan", cpu_us=20), row("steady", "gateway", cpu_us=ours))
    assert goals(measured)[0].row()[2:] == (f"{ours / 20:.2f}×", verdict)
    assert {goal.row()[3] for goal in goals(measured)[1:]} == {"not measured"}


def test_the_page_has_a_place_for_every_case() -> None:
    rows = [
        Row(name, "all", "gateway", "gateway", [Sample(dict.fromkeys(case.COLUMNS, 1234.5))])
        for name, case in CASES.items()
    ]
    measured = figures(*rows)
    page = document.rewrite(document.PAGE.read_text("utf-8"), measured)
    assert page.count("1,234") >= len(CASES)
    assert document.rewrite(page, measured) == page

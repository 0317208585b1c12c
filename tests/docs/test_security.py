"""What the pages on security name is there: a bound that is told with a test has that test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "security.md"


def attacks() -> list[list[str]]:
    """The cells of each row of the table."""
    table = PAGE.read_text("utf-8").partition("| attack | bound | test |\n|---|---|---|\n")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()]


def test_every_attack_has_a_bound_and_tests_that_are_there() -> None:
    rows = attacks()
    assert len(rows) >= 40
    for row in rows:
        assert len(row) == 3 and all(row), row
        named = re.findall(r"`(tests/[^`]+)`", row[2])
        assert named, f"no test is named: {row[0]}"
        assert [name for name in named if not (ROOT / name).is_file()] == [], row[0]


@pytest.mark.parametrize("page", [PAGE, ROOT / "SECURITY.md"], ids=lambda path: path.name)
def test_every_link_of_a_page_on_security_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text("utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target

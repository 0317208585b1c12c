"""The pages of the reference that are made from the code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.reference.__main__ import PAGES

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_up_to_date(name: str) -> None:
    page = REFERENCE / f"{name}.md"
    command = f"python -m gateway.reference {name}"
    assert page.read_text("utf-8") == PAGES[name](), f"run: {command} > docs/reference/{name}.md"
    assert f"`{command} > docs/reference/{name}.md`" in page.read_text("utf-8")


def test_the_command_names_its_pages_when_it_is_asked_for_another() -> None:
    asked = [sys.executable, "-m", "gateway.reference"]
    page = subprocess.run([*asked, "settings"], capture_output=True, text=True, check=True)
    assert page.stdout == PAGES["settings"]()
    unknown = subprocess.run([*asked, "everything"], capture_output=True, text=True)
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert unknown.stderr == "Name one page: commands, logs, metrics, settings.\n"

"""The page on what lives where names files and functions that exist, and leaves no room out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.support.layers import PACKAGES

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "explanation" / "architecture.md"
PATH: Final = re.compile(r"(?:gateway|publisher|docs|tests)/\S*|\S+\.(?:py|lua|js|json|md)")
FUNCTION: Final = re.compile(r"(\w+)\(\)")


def named(page: str) -> Iterator[tuple[str, str]]:
    """What stands in backticks: (path, "") for each path, and (the path before it, name) for each function."""
    for part in re.split(r"^#+ .*$", page, flags=re.MULTILINE):
        path = ""
        for word in re.findall(r"`([^`]+)`", part):
            if PATH.fullmatch(word):
                path = word
                yield path, ""
            elif found := FUNCTION.fullmatch(word):
                yield path, found[1]


def missing(page: str) -> list[str]:
    """What the page names and the checkout does not have."""
    return [f"{path} {name}".strip() for path, name in named(page) if not exists(ROOT / path, name)]


def exists(path: Path, name: str) -> bool:
    if not name or not path.is_file():
        return path.exists() and not name
    before = r"^\s*(?:async )?def " if path.suffix == ".py" else r"^\s*(?:export )?(?:async )?(?:function )?"
    return re.search(rf"{before}{name}\(", path.read_text("utf-8"), re.MULTILINE) is not None


def test_every_file_and_function_that_the_page_names_exists() -> None:
    page = PAGE.read_text("utf-8")
    assert missing(page) == []
    assert len(list(named(page))) > 100


def test_no_room_is_left_out() -> None:
    folders = {
        f"{each.relative_to(ROOT)}/"
        for package in PACKAGES
        for each in (ROOT / package).iterdir()
        if each.is_dir() and each.name != "__pycache__"
    }
    assert folders - {path for path, _ in named(PAGE.read_text("utf-8"))} == set()


def test_what_does_not_exist_is_found() -> None:
    assert missing("`gateway/node.py`: `running()`, `walking()`; `gateway/nobody.py`") == [
        "gateway/node.py walking",
        "gateway/nobody.py",
    ]
    assert missing("## One\n`gateway/node.py`\n## Two\n`running()`") == ["running"]

"""One name, one thing: whoever reads a name in a traceback or a search knows which class it is."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.no_cover  # files are read here, and hardly any code is run

ROOT = Path(__file__).parents[2]
TWINS = ("publisher/asyncio/", "publisher/blocking/")
"""The same file on both sides may define the same: what waits here and there is one thing."""

OF_EACH_QUEUE = {"ReportJobs"}
"""What users of every queue look for under one name, in the module of theirs."""

ALIKE = {"Node", "Worker"}
"""``tests.support.node.Node`` is the very thing, seen from outside: a process. So are the tests' workers; the class of
this name is RQ's."""


def test_no_two_things_of_the_node_and_the_publisher_share_a_name() -> None:
    found = defined("gateway", "publisher")
    shared = {name: places for name, places in found.items() if len({untwinned(place) for place in places}) > 1}
    assert shared.keys() - OF_EACH_QUEUE == set(), shared
    for name in OF_EACH_QUEUE:
        assert all(place.startswith("publisher/integrations/") for place in found[name])


def test_tests_call_nothing_of_their_own_like_a_thing_of_the_product() -> None:
    ours = defined("tests", aliases=False)
    product = defined("gateway", "publisher", aliases=False)
    assert {name: ours[name] for name in ours.keys() & product.keys() - ALIKE} == {}


def test_names_are_found_and_twins_count_once() -> None:
    tree = ast.parse("class A:\n    class B: ...\nCall = tuple[str, ...]\nLIMIT = 3\nOf: TypeAlias = int\n")
    assert list(names(tree)) == ["A", "B", "Call", "Of"]
    assert len({untwinned(f"{side}later.py") for side in TWINS}) == 1
    assert untwinned("publisher/core/later.py") != untwinned("publisher/asyncio/later.py")


def defined(*packages: str, aliases: bool = True) -> dict[str, list[str]]:
    """Where each name is defined."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted(path for package in packages for path in (ROOT / package).rglob("*.py")):
        for name in names(ast.parse(path.read_text("utf-8")), aliases):
            found[name].append(path.relative_to(ROOT).as_posix())
    return dict(found)


def names(tree: ast.Module, aliases: bool = True) -> Iterator[str]:
    """The classes of a file, and the types that it gives a name."""
    yield from (node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    for node in tree.body if aliases else ():
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name) and re.match(r"_?[A-Z]+[a-z]", target.id):
            yield target.id


def untwinned(place: str) -> str:
    return next((place.replace(side, "publisher/*/") for side in TWINS if place.startswith(side)), place)

"""Tests exercise the code as it ships: none replaces a part of it, or needs a library that does."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.no_cover  # files are read here, and hardly any code is run

TESTS = Path(__file__).parents[1]
OURS = ("gateway", "publisher")
REPLACING = frozenset({"setattr", "delattr", "setitem", "delitem"})
MOCKING = frozenset({"mock", "unittest.mock", "pytest_mock", "mocker"})


def imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """What the file imports: the name that it has here, and where it is from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((name.asname or name.name.partition(".")[0], name.name) for name in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node.module
            yield from ((name.asname or name.name, f"{node.module}.{name.name}") for name in node.names)


def replacements(text: str) -> list[str]:
    """Where a test's text replaces a part of our code, as ``line: what``."""
    tree = ast.parse(text)
    ours = {name for name, source in imported(tree) if source.partition(".")[0] in OURS}
    found = [f"1: imports {source}" for _, source in imported(tree) if source in MOCKING]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in REPLACING and _is_named(node.value, "monkeypatch"):
            found.append(f"{node.lineno}: monkeypatch.{node.attr}")
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del) and _root(node) in ours:
            found.append(f"{node.lineno}: sets {ast.unparse(node)}")
        if isinstance(node, ast.Call) and _is_named(node.func, "setattr") and node.args and _root(node.args[0]) in ours:
            found.append(f"{node.lineno}: sets an attribute of {ast.unparse(node.args[0])}")
    return found


def _is_named(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _root(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


@pytest.mark.parametrize("path", sorted(TESTS.rglob("*.py")), ids=lambda path: str(path.relative_to(TESTS)))
def test_a_test_file_replaces_nothing_of_ours(path: Path) -> None:
    """What a test needs otherwise, shorter times say, is an argument of the constructor."""
    text = path.read_text()
    assert replacements(text) == []
    assert "ignore[method-" + "assign]" not in text


@pytest.mark.parametrize(
    "text",
    [
        "def test(monkeypatch): monkeypatch.setattr(x, 'y', 1)",
        "from unittest.mock import patch",
        "from unittest import mock",
        "import mock",
        "from gateway.presence import presence\npresence.LEASE_S = 1",
        "import gateway.node\ngateway.node.Node.run = None",
        "from gateway.node import Node as N\nsetattr(N, 'run', None)",
    ],
)
def test_each_way_to_replace_something_is_found(text: str) -> None:
    assert replacements(text)


def test_an_environment_and_an_own_object_may_be_changed() -> None:
    assert not replacements("from gateway.node import Node\nnode = Node()\nnode.draining = True")
    assert not replacements("def test(monkeypatch): monkeypatch.setenv('A', 'b')")

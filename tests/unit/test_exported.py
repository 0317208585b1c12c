"""What a public module offers is what its ``__all__`` says."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def offered(module: ModuleType) -> set[str]:
    """The names that a module defines, or imports from a package of ours, for others: none with an underscore."""
    tree = ast.parse(Path(str(module.__file__)).read_text("utf-8"))
    names: set[str] = set()
    checked = [each for node in tree.body if isinstance(node, ast.If) for each in node.body]  # loaded when asked for
    for node in [*tree.body, *checked]:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        if isinstance(node, ast.ImportFrom) and module.__name__ == (node.module or "").partition(".")[0]:
            names.update(alias.asname or alias.name for alias in node.names)
    return {name for name in names if not name.startswith("_")}


@pytest.mark.parametrize("name", ["publisher", "publisher.testing"])
def test_all_equals_what_is_offered(name: str) -> None:
    module = importlib.import_module(name)
    assert set(module.__all__) == offered(module)
    assert all(hasattr(module, each) for each in module.__all__)

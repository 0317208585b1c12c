"""The log lines in the code are the ones that the reference page lists."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway.logs.actions import ACTIONS

ROOT = Path(__file__).parents[2]
OWN_KEYS = {"time", "level", "logger", "action", "message", "traceback"}
LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "exception": "error", "at": None}
"""The methods of :class:`Log`, and the level of each."""
FOREIGN = {"http.message", "loop.message", "publisher.message", "library.message", "python.warning"}


class Written(NamedTuple):
    """One call of a log. ``level`` None: it differs."""

    place: str
    level: str | None
    action: str
    fields: tuple[str | None, ...]


def calls() -> Iterator[Written]:
    for path in sorted((ROOT / "gateway").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if not (isinstance(node.func.value, ast.Name) and node.func.value.id in ("log", "_log", "stream_log")):
                continue
            place, method = f"{path.name}:{node.lineno}", node.func.attr
            assert method in LEVELS, f"{place}: a log has no {method}"
            *_, action = node.args
            assert isinstance(action, ast.Constant) and isinstance(action.value, str), place
            fields = tuple(each.arg for each in node.keywords if each.arg != "words")
            yield Written(place, LEVELS[method], action.value, fields)
    yield Written("output.py", "warning", "log.suppressed", ("of", "lines"))


CALLS = list(calls())


@pytest.mark.parametrize("written", CALLS, ids=[written.place for written in CALLS])
def test_a_call_names_an_action_that_is_documented_with_its_fields(written: Written) -> None:
    documented = {action.name: action for action in ACTIONS}
    assert written.action in documented, f"add {written.action} to gateway/logs/actions.py"
    assert written.fields == documented[written.action].fields
    assert written.level in (None, documented[written.action].level)


def test_every_documented_action_is_in_the_code() -> None:
    assert {action.name for action in ACTIONS} == {written.action for written in CALLS} | FOREIGN


def test_no_field_takes_the_name_of_a_key_that_every_line_has() -> None:
    assert not OWN_KEYS & {field for action in ACTIONS for field in action.fields}

"""The log lines in the code are the ones that the reference page lists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.log_actions import ACTIONS
from gateway.log_records import ACTION, FIELD
from gateway.logs_reference import reference

ROOT = Path(__file__).parents[2]
OWN_KEYS = {"time", "level", "logger", "action", "message", "traceback"}
LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
FOREIGN = {"http.message", "loop.message", "publisher.message", "library.message", "python.warning"}
PLACE = re.compile(r"%[-+ #0]*\d*(?:\.\d+)?[a-zA-Z]")


def calls() -> Iterator[tuple[str, str, int]]:
    """File, template and number of values of every call of a logger."""
    for path in sorted((ROOT / "gateway").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS):
                continue
            if not (isinstance(node.func.value, ast.Name) and node.func.value.id in ("log", "_log", "stream_log")):
                continue
            values = node.args[1:] if node.func.attr == "log" else node.args
            assert isinstance(values[0], ast.Constant) and isinstance(values[0].value, str), f"{path}:{node.lineno}"
            yield f"{path.name}:{node.lineno}", values[0].value, len(values) - 1
    yield "logs.py", "log.suppressed of=%s lines=%d", 2


CALLS = list(calls())


@pytest.mark.parametrize(("place", "template", "values"), CALLS, ids=[place for place, _, _ in CALLS])
def test_a_call_names_an_action_that_is_documented_with_its_fields(place: str, template: str, values: int) -> None:
    found = ACTION.match(template)
    assert found, f"{template!r} does not begin with an action"
    documented = {action.name: action.fields for action in ACTIONS}
    assert found[1] in documented, f"add {found[1]} to gateway/log_actions.py"
    assert tuple(each["name"] for each in FIELD.finditer(template)) == documented[found[1]]
    assert len(PLACE.findall(template)) == values
    assert template.count("=%") == len(documented[found[1]]), "a field ends with a space or the end of the template"


def test_every_documented_action_is_in_the_code() -> None:
    used = {found[1] for _, template, _ in CALLS if (found := ACTION.match(template))}
    assert {action.name for action in ACTIONS} == used | FOREIGN


def test_no_field_takes_the_name_of_a_key_that_every_line_has() -> None:
    assert not OWN_KEYS & {field for action in ACTIONS for field in action.fields}


def test_the_reference_page_is_up_to_date() -> None:
    page = ROOT / "docs" / "reference" / "logs.md"
    assert page.read_text("utf-8") == reference(), "run: python -m gateway.log_actions > docs/reference/logs.md"

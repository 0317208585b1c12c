"""Imports point one way: a room knows the rooms below it and none above, and what decides knows no I/O."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

import pytest

from tests.support.layers import Picture, circles, drawing, read, svg, upward

pytestmark = pytest.mark.no_cover  # files are read here, and hardly any code is run

ROOT = Path(__file__).parents[2]

ORDER: Final = (
    # The publisher: what decides, Redis, one room for each side.
    *(
        "publisher.version",
        "publisher.exceptions",
        "publisher.channels",
        "publisher.keys",
        "publisher.iteration",
        "publisher.jsontext",
        "publisher.envelope",
    ),
    *("publisher.job", "publisher.current", "publisher.core", "publisher.redis", "publisher.asyncio"),
    *("publisher.blocking", "publisher.integrations", "publisher.polling", "publisher", "publisher.testing"),
    # What every room of the node may know.
    *("gateway", "gateway.version", "gateway.closing", "gateway.exceptions", "gateway.web", "gateway.logs"),
    *("gateway.limits", "gateway.settings", "gateway.metrics", "gateway.http_client"),
    # The parts of a node, and what wires them.
    *("gateway.fanout", "gateway.auth", "gateway.sockets", "gateway.broker", "gateway.presence"),
    *(
        "gateway.timers",
        "gateway.reconciler",
        "gateway.lease_watch",
        "gateway.disconnects",
        "gateway.http",
        "gateway.streams",
    ),
    "gateway.mercure",
    "gateway.node",
    # What it answers.
    *("gateway.dialects", "gateway.routes", "gateway.app"),
    # Processes and commands.
    *(
        "gateway.listening",
        "gateway.allocator",
        "gateway.server",
        "gateway.serving",
        "gateway.processes",
        "gateway.bench",
        "gateway.doctor",
        "gateway.demo",
    ),
    *("gateway.commands", "gateway.cli", "gateway.__main__", "gateway.reference"),
)
"""The rooms, lowest first. A new room gets its place here; a file at the top of a package is a room of its own."""

IO: Final = (
    *("socket", "ssl", "select", "selectors", "subprocess", "http", "httpx", "urllib", "redis", "starlette", "uvicorn"),
)


@pytest.fixture(scope="module")
def picture() -> Picture:
    return read(ROOT)


def test_every_room_has_its_place_in_the_order(picture: Picture) -> None:
    assert sorted(ORDER) == sorted(picture.rooms)


def test_no_import_points_up(picture: Picture) -> None:
    assert upward(picture.between_rooms(), ORDER) == []
    assert upward(picture.between_rooms(typing=True), ORDER) == []


def test_no_imports_go_in_circles(picture: Picture) -> None:
    assert circles(picture.between_modules()) == []
    assert circles(picture.between_rooms()) == []


def test_the_drawing_shows_todays_imports(picture: Picture) -> None:
    drawn = (ROOT / "docs/images/rooms.svg").read_text("utf-8")
    assert drawn == drawing(picture), "Draw it anew: python -m tests.support.layers --svg docs/images/rooms.svg"


def test_the_publisher_knows_neither_the_node_nor_a_web_framework() -> None:
    for path in (ROOT / "publisher").rglob("*.py"):
        assert not {"gateway", "starlette", "uvicorn"} & tops(ast.parse(path.read_text())), path


@pytest.mark.parametrize("room", ["gateway/fanout", "publisher/core"])
def test_what_decides_neither_waits_nor_does_io(room: str) -> None:
    """A future may be held there (whoever reads a channel's history leaves one for those who wait), not awaited."""
    waiting = (ast.Await, ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith)
    for path in (ROOT / room).rglob("*.py"):
        tree = ast.parse(path.read_text())
        assert not set(IO) & tops(tree), path
        assert not [node.lineno for node in ast.walk(tree) if isinstance(node, waiting)], path
        used = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert {name for name in used if name.startswith("asyncio.")} <= {"asyncio.Future"}, path


def test_circles_and_upward_arrows_are_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}
    assert circles(graph) == [["b", "c"]]
    assert upward(graph, ["b", "a", "c", "d"]) == ["b -> c"]
    assert "<svg" in svg(graph, ["b", "a", "c", "d"])


def tops(tree: ast.Module) -> set[str]:
    """The packages that a file imports from."""
    names = [name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names}

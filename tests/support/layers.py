"""Who imports whom: the rooms of a checkout, circles, and arrows that point up.

``python -m tests.support.layers [ROOT] [--svg FILE]`` tells it of any checkout, and draws the rooms with the lowest at
the bottom. Only source text is read; imports under ``TYPE_CHECKING`` are counted apart.
"""

from __future__ import annotations

import argparse
import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

PACKAGES: Final = ("publisher", "gateway")
Graph = Mapping[str, set[str]]


class Import(NamedTuple):
    """One module imports another, both of ours. ``typing`` where only a type checker sees it."""

    source: str
    target: str
    typing: bool


@dataclass
class Picture:
    """The modules of a checkout and their imports."""

    modules: set[str] = field(default_factory=set)
    imports: list[Import] = field(default_factory=list)

    def room(self, module: str) -> str:
        """The folder below the top that a module lives in; a file at the top is a room of its own."""
        return ".".join(module.split(".")[:2])

    @property
    def rooms(self) -> set[str]:
        return {self.room(module) for module in self.modules}

    def between_modules(self, *, typing: bool = False) -> Graph:
        """Imports at run time; with ``typing`` the others too."""
        return _graph((each.source, each.target) for each in self.imports if typing or not each.typing)

    def between_rooms(self, *, typing: bool = False) -> Graph:
        """What the rooms import of each other."""
        rooms = ((self.room(a), self.room(b)) for a, seen in self.between_modules(typing=typing).items() for b in seen)
        return _graph((a, b) for a, b in rooms if a != b)


def read(root: Path) -> Picture:
    """The picture of the packages under ``root``."""
    files = {_name(path.relative_to(root)): path for name in PACKAGES for path in sorted((root / name).rglob("*.py"))}
    found = Picture(set(files))
    for module, path in files.items():
        for target, typing in _imports(ast.parse(path.read_text())):
            known = _known(target, found.modules)
            if known and known != module:
                found.imports.append(Import(module, known, typing))
    return found


def circles(graph: Graph) -> list[list[str]]:
    """Groups of nodes that reach each other (Tarjan's strongly connected components of more than one)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in sorted(graph.get(node, ())):
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            at = stack.index(node)
            group = sorted(stack[at:])
            del stack[at:]
            if len(group) > 1:
                found.append(group)

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def upward(graph: Graph, order: Iterable[str]) -> list[str]:
    """Arrows from a room to one above it, in an order that names the lowest first."""
    level = {room: n for n, room in enumerate(order)}
    return sorted(f"{a} -> {b}" for a, seen in graph.items() for b in seen if level[b] > level[a])


def best_order(graph: Graph, rooms: Iterable[str]) -> list[str]:
    """An order of the rooms, lowest first, for a checkout without a table: few arrows point up in it."""
    left, order = set(rooms), list[str]()
    while left:
        lowest = min(left, key=lambda room: (len(graph.get(room, set()) & left - {room}), room))
        left.remove(lowest)
        order.append(lowest)
    return order


def drawing(picture: Picture) -> str:
    """The rooms at run time as SVG. The same text for the same imports."""
    rooms = picture.between_rooms()
    return svg(rooms, best_order(rooms, picture.rooms))


def svg(graph: Graph, order: list[str]) -> str:
    """Rooms one above the other; arrows down in grey at the left, arrows up in red at the right."""
    step, x, width = 26, 330, 190
    height = len(order) * step + 30
    top = {room: height - 30 - n * step for n, room in enumerate(order)}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 {height + 10}" font-family="sans-serif" '
        'font-size="13"><title>Which room imports which</title><rect width="100%" height="100%" fill="#fff"/>'
    ]
    for room in order:
        for target in sorted(graph.get(room, ())):
            up = top[target] < top[room]
            side, bow = (x + width, 1) if up else (x, -1)
            reach = side + bow * min(310, 14 + 0.55 * abs(top[target] - top[room]))
            parts.append(
                f'<path d="M{side} {top[room]} C{reach:g} {top[room]} {reach:g} {top[target]} {side} {top[target]}" '
                f'fill="none" stroke="{"#c0392b" if up else "#7f8c9b"}" stroke-opacity="{1 if up else 0.55}"/>'
            )
    for room in order:
        parts.append(
            f'<rect x="{x}" y="{top[room] - 11}" width="{width}" height="22" rx="4" fill="#eef2f7" stroke="#8794a5"/>'
            f'<text x="{x + width / 2}" y="{top[room] + 4}" text-anchor="middle" fill="#1c2733">{escape(room)}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


def _graph(pairs: Iterable[tuple[str, str]]) -> Graph:
    graph: defaultdict[str, set[str]] = defaultdict(set)
    for a, b in pairs:
        graph[a].add(b)
    return dict(graph)


def _name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _known(target: str, modules: set[str]) -> str:
    """The module that ``from target import …`` reaches: the name itself, or what it is taken from."""
    return target if target in modules else parent if (parent := target.rpartition(".")[0]) in modules else ""


def _imports(tree: ast.AST, typing: bool = False) -> Iterator[tuple[str, bool]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((name.name, typing) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((f"{node.module}.{name.name}", typing) for name in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for each in node.body:
                yield from _imports(ast.Module([each], []), True)
        else:
            yield from _imports(node, typing)


def main() -> None:
    options = argparse.ArgumentParser(description="Tell which rooms a checkout has, their circles and upward arrows.")
    options.add_argument("root", nargs="?", type=Path, default=Path(__file__).parents[2])
    options.add_argument("--svg", type=Path, metavar="FILE")
    chosen = options.parse_args()
    picture = read(chosen.root)
    for typing in (False, True):
        rooms, modules = picture.between_rooms(typing=typing), picture.between_modules(typing=typing)
        order = best_order(rooms, picture.rooms)
        print("with imports for type checkers" if typing else "at run time")
        print(f"  modules {len(picture.modules)}, rooms {len(picture.rooms)}, arrows {sum(map(len, rooms.values()))}")
        print(f"  circles of rooms {circles(rooms)}\n  circles of modules {circles(modules)}")
        print(f"  upward {upward(rooms, order)}")
    if chosen.svg:
        chosen.svg.write_text(drawing(picture), "utf-8")


if __name__ == "__main__":
    main()

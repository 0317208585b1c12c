"""Rows as columns for a terminal. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.commands.progress_line import printable


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Lines of columns as wide as their widest cell, numbers to the right; no cell can steer the terminal."""
    cells = [[printable(str(cell)) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [all(isinstance(row[index], int | float) for row in rows) for index in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in cells
    )

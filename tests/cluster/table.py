"""The live table of a long run: what is being broken, and what has become of the promise so far."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tests.cluster.verdict import Row

COLUMNS = ("client", "events", "lost", "repeated", "unordered", "resets", "reconnects", "silence s")


def line(row: Row) -> tuple[str, ...]:
    """One client as cells."""
    wrong = (row.lost, row.repeated, row.unordered)
    cells = (row.events, *map(len, wrong), row.resets, row.reconnects, f"{row.longest_silence_s:.1f}")
    return (row.name, *map(str, cells))


def total(name: str, rows: Sequence[Row]) -> tuple[str, ...]:
    """Several clients in one line: sums, and the longest silence of any."""
    sums = (
        sum(row.events for row in rows),
        sum(len(row.lost) for row in rows),
        sum(len(row.repeated) for row in rows),
        sum(len(row.unordered) for row in rows),
        sum(row.resets for row in rows),
        sum(row.reconnects for row in rows),
    )
    silence = max((row.longest_silence_s for row in rows), default=0.0)
    return (name, *map(str, sums), f"{silence:.1f}")


def text(rows: Sequence[Row]) -> str:
    """The whole table, one line per kind of client and one for all."""
    kinds: dict[str, list[Row]] = {}
    for row in rows:
        kinds.setdefault(row.name.partition(" #")[0], []).append(row)
    lines = [COLUMNS, *(total(f"{name} ×{len(found)}", found) for name, found in kinds.items()), total("all", rows)]
    widths = [max(len(cells[column]) for cells in lines) for column in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if n == 0 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(each, widths, strict=True))
        )
        for each in lines
    )


def live(words: str) -> None:
    """One line that is written over again on a terminal, and left out elsewhere."""
    if sys.stdout.isatty():
        print(f"\r\x1b[2K{words[:150]}", end="", flush=True)


def said(words: str) -> None:
    """One line that stays."""
    print(f"\r\x1b[2K{words}" if sys.stdout.isatty() else words, flush=True)

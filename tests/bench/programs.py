"""The C programs of the benchmark, compiled once per run, and whether this machine can do that."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
FLAGS: Final = ("-O2", "-Wall", "-Wextra", "-Werror")


def compiler() -> str | None:
    """The C compiler's path, if there is one."""
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


@cache
def build(name: str) -> Path:
    """The program of ``name.c``."""
    found = compiler()
    if found is None:
        raise RuntimeError("A C compiler is needed: install gcc (as root: apt-get install gcc libc6-dev).")
    target = _folder() / name
    subprocess.run([found, *FLAGS, "-o", str(target), str(HERE / f"{name}.c")], check=True)
    return target


@cache
def _folder() -> Path:
    folder = tempfile.mkdtemp(prefix="sse-bench-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)

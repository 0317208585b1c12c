"""What the figures were measured on: cores and versions, nothing that names a machine."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path

from tests.support.broker import find_binary

PACKAGES = ("uvicorn", "httptools", "starlette", "redis", "hiredis", "orjson", "sse-starlette")


def facts() -> dict[str, str]:
    found = {
        "cores": f"{os.cpu_count()} ({_processor()})",
        "kernel": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "Python": platform.python_version(),
        "Redis": _version([find_binary(), "--version"], r"(?:v=|version )([\d.]+)"),
        "nginx": _version(["nginx", "-v"], r"nginx/([\d.]+)"),
        "nchan": _version(["dpkg-query", "-W", "-f=${Version}", "libnginx-mod-nchan"], r"([\d.]+\d)(?:\+|-|$)"),
    }
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {name: value for name, value in found.items() if value}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(command: list[str], pattern: str) -> str:
    """What a program says of itself; "" where it is not there."""
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return ""
    found = re.search(pattern, said.stdout + said.stderr)
    return found[1] if found else ""

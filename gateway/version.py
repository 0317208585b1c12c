"""Which version this is: the publisher's and the node's are one. And what it runs on."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires
from importlib.metadata import version as installed_version

from publisher.version import version

__all__ = ["version", "versions"]


def versions() -> Iterator[str]:
    """A line for this program, for Python, and for each package that the node needs, as they are installed."""
    yield f"sse-gateway {version()}"
    yield f"Python {platform.python_version()} ({platform.system()} {platform.machine()})"
    try:
        needed = requires("sse-gateway") or []
    except PackageNotFoundError:
        return
    for line in needed:
        if "extra" in line and "extra == 'gateway'" not in line.replace('"', "'"):
            continue
        found = re.match(r"[A-Za-z0-9_.-]+", line)
        if found:
            yield f"{found[0]} {_installed(found[0])}"


def _installed(package: str) -> str:
    try:
        return installed_version(package)
    except PackageNotFoundError:
        return "is not installed"

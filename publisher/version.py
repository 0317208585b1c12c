"""Which version this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version


def version() -> str:
    """The version of the installed distribution; "unknown" where the code runs from a folder without one."""
    try:
        return installed_version("sse-gateway")
    except PackageNotFoundError:
        return "unknown"

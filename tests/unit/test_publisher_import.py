"""Importing the publisher costs a worker little: redis-py comes with the first publisher that is made."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import publisher

ROOT = Path(__file__).parents[2]


def _loaded(code: str) -> set[str]:
    """The modules that are there after some code in an interpreter of its own."""
    command = [sys.executable, "-c", f"import sys; {code}; print(*sys.modules)"]
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    ran = subprocess.run(command, cwd=ROOT, env=unmeasured, capture_output=True, text=True, check=True)
    return set(ran.stdout.split())


def test_importing_the_publisher_imports_no_redis() -> None:
    loaded = _loaded("from publisher import Publisher, Receipt, Job, JobFinished")
    assert "publisher.blocking.publisher" in loaded
    assert not {"redis", "asyncio", "ssl", "socket", "importlib.metadata", "multiprocessing"} & loaded


def test_the_asyncio_side_waits_with_redis_too() -> None:
    loaded = _loaded("from publisher import AsyncPublisher")
    assert "redis" not in loaded
    assert "publisher.blocking" not in loaded


def test_it_knows_its_version() -> None:
    assert publisher.__version__ == version("sse-gateway")
    assert "__version__" in dir(publisher)

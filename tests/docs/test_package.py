"""What is published: built as for a release, looked into, installed, and run from there."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.support.broker import Broker
from tests.support.http1 import request
from tests.support.node import ROOT
from tests.support.ports import HOST, free_port
from tests.support.waiting import until

BUILD = [sys.executable, "-m", "build", "--no-isolation"]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was made from it."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([*BUILD, "--outdir", str(folder), str(ROOT)], check=True, capture_output=True, timeout=120)
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel brings, and nothing of the source tree."""
    folder = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    subprocess.run([*pip, str(next(built.glob("*.whl")))], check=True, capture_output=True, timeout=120)
    return folder


def environ(installed: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    return {**kept, "PYTHONPATH": str(installed), "GATEWAY_ANONYMOUS": "read"}


def test_the_wheel_holds_both_packages_and_nothing_else(built: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
        metadata = wheel.read(f"sse_gateway-{VERSION}.dist-info/METADATA").decode()
    assert {name.partition("/")[0] for name in names} == {"gateway", "publisher", f"sse_gateway-{VERSION}.dist-info"}
    there = {str(path.relative_to(ROOT)) for part in ("gateway", "publisher") for path in (ROOT / part).rglob("*")}
    data = {name for name in there if re.search(r"\.(lua|json|js|ts|html|css|svg|py)$|py\.typed$", name)}
    assert data <= names, "a file of the packages is not published"
    assert "License-Expression: MIT" in metadata
    assert not re.search(r"Provides-Extra: (dev|bench|fuzz)", metadata)


def test_the_sdist_has_what_its_tests_need(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "Makefile", "README.md", "LICENSE", "tests/conftest.py"} <= names
    assert not any(part in name for name in names for part in ("node_modules", "__pycache__", ".venv"))


def test_the_installed_program_names_its_versions(installed: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "--version"],
        cwd=installed,
        env=environ(installed),
        capture_output=True,
        text=True,
        timeout=60,
    )
    lines = done.stdout.splitlines()
    assert lines[0] == f"sse-gateway {VERSION}"
    assert lines[1].startswith(f"Python {sys.version_info[0]}.{sys.version_info[1]}.")
    assert {"redis", "orjson", "starlette", "uvicorn"} <= {line.split()[0] for line in lines[2:]}
    assert not any("not installed" in line for line in lines)


async def test_a_node_runs_from_the_wheel_with_its_pages(installed: Path) -> None:
    port = free_port()
    with Broker() as broker:
        command = [sys.executable, "-m", "gateway", "serve", "--port", str(port), "--redis-url", broker.url]
        node = await asyncio.create_subprocess_exec(*command, cwd=installed, env=environ(installed))
        try:

            async def answers() -> bool:
                try:
                    return (await request(f"http://{HOST}:{port}", "/readyz")).status == 200
                except OSError:
                    return False

            await until(answers, "the node to be ready")
            for path in ("/", "/demo", "/static/sse-client.js", "/openapi.json"):
                assert (await request(f"http://{HOST}:{port}", path)).status == 200, path
        finally:
            node.terminate()
            code = await node.wait()
        assert code == 0

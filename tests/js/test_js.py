"""The browser client, tested in Node: each file of JavaScript tests is one test here, its output shown on failure."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.js.world import World
from tests.support.broker import Broker
from tests.support.node import ROOT

HERE = Path(__file__).parent
CLIENT = ROOT / "gateway" / "web" / "client"
MODULES = HERE / "node_modules"
WITH_MODULES = ("react.test.mjs", "chat.test.mjs")
FILES = sorted(path.name for path in HERE.glob("*.test.mjs") if path.name not in WITH_MODULES)
PACKED = {"LICENSE", "README.md", "package.json", "react.d.ts", "react.js", "sse-client.d.ts", "sse-client.js"}
INSTALL = "npm ci --prefix tests/js && npm ci --prefix tests/js/react18 (make test does it)"

pytestmark = [
    pytest.mark.skipif(shutil.which("npm") is None, reason="needs Node.js and npm: install nodejs and npm"),
    pytest.mark.xdist_group("js"),  # they share one world
]
needs_modules = pytest.mark.skipif(not (MODULES / "react").is_dir(), reason=f"needs {INSTALL}")


@pytest.fixture(scope="module")
def world(broker: Broker) -> Iterator[World]:
    with World(broker.url, "js") as running:
        yield running


def run(world: World, file: str, **environment: str) -> None:
    """Run one file of tests; its whole report is the message of a failure."""
    world.mend()
    done = subprocess.run(
        ["node", "--test", file],
        cwd=HERE,
        env={**os.environ, "WORLD": world.environment, "NO_COLOR": "1", "NODE_ENV": "development", **environment},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", FILES)
def test_the_client_passes(world: World, file: str) -> None:
    run(world, file)


@needs_modules
@pytest.mark.parametrize("react", ["18", "19"])
def test_the_hooks_work_with_react(world: World, react: str) -> None:
    run(world, "react.test.mjs", REACT=react)


@needs_modules
def test_the_chat_of_the_ai_sdk_works_unchanged(world: World) -> None:
    run(world, "chat.test.mjs", REACT="19")


@needs_modules
def test_the_types_fit_their_use() -> None:
    done = subprocess.run(
        ["node", str(MODULES / "typescript" / "bin" / "tsc"), "--project", str(HERE / "types")],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs_modules
def test_each_module_imports_what_it_uses_and_nothing_else() -> None:
    """In the one file every name is known; the modules must know theirs by themselves."""
    done = subprocess.run(
        ["node", str(MODULES / "typescript" / "bin" / "tsc"), "--project", str(HERE / "types" / "modules.json")],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    wrong = (
        r".*error TS(?:2304|2305|2307|2552|2724|5\d{3}|6133|6192|18003): .*"  # names alone: what types are is not told
    )
    assert re.findall(wrong, done.stdout) == []


def test_the_package_holds_exactly_the_client(tmp_path: Path) -> None:
    packed = subprocess.run(
        ["npm", "pack", "--json", "--pack-destination", str(tmp_path)],
        cwd=CLIENT,
        capture_output=True,
        text=True,
        timeout=250,
        check=True,
    )
    (told,) = json.loads(packed.stdout)
    assert {file["path"] for file in told["files"]} == PACKED
    with tarfile.open(tmp_path / told["filename"]) as archive:
        assert {member.name.removeprefix("package/") for member in archive.getmembers()} == PACKED
    there = {path.name for path in CLIENT.iterdir()}
    assert there == {*PACKED, "src"}, "a file beside the package would never be served"


def test_the_packages_licence_is_the_projects() -> None:
    assert (CLIENT / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_the_reference_shows_the_types_as_they_are() -> None:
    page = (ROOT / "docs" / "reference" / "browser-client.md").read_text("utf-8")
    blocks = re.findall(r"```ts\n(.*?)```", page, re.DOTALL)
    client = re.split(r"(?m)^// .+ -{5,}\n", (CLIENT / "sse-client.d.ts").read_text("utf-8"))[1:]
    hooks = (CLIENT / "react.d.ts").read_text("utf-8").split("\n", 2)[2]
    assert blocks == [f"{section.strip()}\n" for section in [*client, hooks]]


def test_every_error_of_the_client_is_explained() -> None:
    page = (ROOT / "docs" / "reference" / "browser-client.md").read_text("utf-8")
    source = (CLIENT / "sse-client.js").read_text("utf-8")
    named = set(re.findall(r'new StreamError\(\s*"(\w+)"', source))
    codes = (named | {"refused", "bad_request", "forbidden", "not_found"}) - {"closed_by_server"}
    assert [code for code in sorted(codes) if f"`{code}`" not in page] == []

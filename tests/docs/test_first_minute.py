"""What README and tutorial show works as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from xml.dom import minidom

import pytest

from tests.support.commands import Running, run
from tests.support.node import ROOT, Node
from tests.support.sse_parser import SseParser

README = (ROOT / "README.md").read_text("utf-8")
TUTORIAL = (ROOT / "docs" / "tutorial" / "first-job.md").read_text("utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def python_block(page: str) -> str:
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "import" in block]
    return str(code)


def test_the_readmes_worker_is_watched_with_the_line_that_it_prints(
    start_node: Callable[..., Node], redis_url: str, tmp_path: Path
) -> None:
    node = start_node(ANONYMOUS="read", REDIS_PREFIX="sse")
    program = tmp_path / "hello.py"
    program.write_text(python_block(README), "utf-8")
    with Running([sys.executable, str(program), redis_url]) as worker:
        line = worker.wait_for("/events\n").strip().replace("http://127.0.0.1:8000", node.base)
        done = subprocess.run(["bash", "-c", line], capture_output=True, timeout=40)
        assert worker.wait() == 0
    events = SseParser().feed(done.stdout)
    assert [event.type for event in events if not event.type.startswith("job.")][-3:] == [
        "page",
        "page",
        "stream.close",
    ]
    assert events[-2].type == "job.completed"
    assert events[-2].json()["result"] == {"pages": 30}


def test_the_tutorials_worker_is_followed_by_the_command_that_it_names(
    start_node: Callable[..., Node], redis_url: str, tmp_path: Path
) -> None:
    node = start_node(ANONYMOUS="read", REDIS_PREFIX="sse")
    program = tmp_path / "worker.py"
    program.write_text(python_block(TUTORIAL), "utf-8")
    (arguments,) = re.findall(r"sse-gateway (tail job:first)\n", TUTORIAL)
    with Running([sys.executable, str(program), redis_url]) as worker:
        followed = run(*arguments.split(), "--gateway", node.base)
        assert worker.wait() == 0
    assert followed.returncode == 0
    completed = followed.stdout.splitlines()[-1]
    assert completed.startswith("job.completed ")
    assert '"answer":42' in completed


def test_every_dependency_has_its_reason() -> None:
    written = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    project = written["project"]
    lists = [
        project["dependencies"],
        *project["optional-dependencies"].values(),
        *written["dependency-groups"].values(),
    ]
    packages = {re.split(r"[>=<;\s]", entry)[0] for entries in lists for entry in entries if isinstance(entry, str)}
    page = (ROOT / "docs" / "reference" / "dependencies.md").read_text("utf-8")
    missing = [package for package in packages if f"`{package}`" not in page and not package.startswith("sse-gateway")]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_every_link_leads_to_a_file(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert missing == []


def test_the_pictures_can_be_shown_anywhere() -> None:
    """Well-formed, and without scripts or anything from another place."""
    pictures = list(ROOT.glob("docs/images/*.svg"))
    assert pictures
    for picture in pictures:
        document = minidom.parse(str(picture))
        assert not document.getElementsByTagName("script")
        assert not re.findall(r"(?:href|src)=\"(?!#)", picture.read_text("utf-8"))

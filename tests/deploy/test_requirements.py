"""The locked versions are those that the project asks for, with hashes; the workflows are what GitHub can read."""

from __future__ import annotations

import re
import tomllib

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.node import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_everything_that_a_node_needs_is_locked_with_its_contents() -> None:
    text = (ROOT / "deploy" / "requirements.txt").read_text("utf-8")
    entries = re.split(r"\n(?=[a-z])", text)[1:]
    locked: dict[str, str] = {}
    for entry in entries:
        name, version = re.match(r"([A-Za-z0-9_.-]+)==(\S+)", entry).groups()  # type: ignore[union-attr]
        assert "--hash=sha256:" in entry, name
        locked[canonicalize_name(name)] = version
    for line in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["gateway"]]:
        wanted = Requirement(line)
        assert locked[canonicalize_name(wanted.name)] in wanted.specifier, f"make lock: {line}"


def test_the_workflows_call_what_the_makefile_has() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    folder = ROOT / ".github" / "workflows"
    steps = [
        step["run"]
        for file in folder.glob("*.yml")
        for job in yaml.safe_load(file.read_text("utf-8"))["jobs"].values()
        for step in job["steps"]
        if "run" in step
    ]
    targets = {target for step in steps for target in re.findall(r"\bmake ([a-z./-]+)", step)}
    assert {"test-all", "sbom", ".venv/.dev"} <= targets
    assert all(re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE) for target in targets)

"""In CI a skipped test is a failed one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SKIPS = {
    "mark": "import pytest\n@pytest.mark.skip(reason='too hard')\ndef test_it(): pass\n",
    "call": "import pytest\ndef test_it(): pytest.skip('too hard')\n",
    "module": "import pytest\npytest.skip('too hard', allow_module_level=True)\n",
    "import": "import pytest\npytest.importorskip('no_such_module', reason='too hard')\n",
    "fixture": "import pytest\n@pytest.fixture\ndef it(): pytest.skip('too hard')\ndef test_it(it): pass\n",
}
XFAIL = "import pytest\n@pytest.mark.xfail(reason='known')\ndef test_it(): assert False\n"


def run(folder: Path, tests: dict[str, str], **env: str) -> str:
    """What pytest says of these tests, which lie elsewhere, under the project's own conftest."""
    for name, text in tests.items():
        (folder / f"test_{name}.py").write_text(text)
    kept = {name: value for name, value in os.environ.items() if name != "CI" and not name.startswith("COV")}
    plugins = ["-p", "tests.conftest", "-p", "pytest_asyncio.plugin", "-p", "pytest_timeout", "-p", "no:cacheprovider"]
    options = ["-q", "-c", str(ROOT / "pyproject.toml"), f"--rootdir={folder}", "--continue-on-collection-errors"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, *options, str(folder)],
        cwd=ROOT,
        env={**kept, **env, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return done.stdout


def test_every_kind_of_skip_fails_in_ci_and_an_expected_failure_does_not(tmp_path: Path) -> None:
    said = run(tmp_path, {**SKIPS, "xfail": XFAIL}, CI="true")
    assert said.count("Skipped, which CI=true does not allow") >= len(SKIPS)
    assert "1 failed, 1 xfailed, 4 errors" in said  # an error is a failure outside of the test's own call


def test_skips_pass_elsewhere(tmp_path: Path) -> None:
    assert "5 skipped" in run(tmp_path, SKIPS)

"""In CI a skipped test is a failed one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SKIPS = {
    "mark": "import pytest\n@pytest.mark.skip(reason='too hard')\ndef test_it(): pass\n",
    "call": "import pytest\ndef test_it(): pytest.skip('too hard')\n",
    "module": "import pytest\npytest.skip('too hard', allow_module_level=True)\n",
    "import": "import pytest\npytest.importorskip('no_such_module', reason='too hard')\n",
    "fixture": "import pytest\n@pytest.fixture\ndef it(): pytest.skip('too hard')\ndef test_it(it): pass\n",
}


def run(folder: Path, text: str, **env: str) -> subprocess.CompletedProcess[str]:
    """The project's own conftest over one file of tests elsewhere."""
    (folder / "test_sample.py").write_text(text)
    kept = {name: value for name, value in os.environ.items() if name != "CI" and not name.startswith("COV")}
    command = [sys.executable, "-m", "pytest", "-q", "-c", str(ROOT / "pyproject.toml"), "-p", "tests.conftest"]
    return subprocess.run(
        [*command, f"--rootdir={folder}", "-p", "no:cacheprovider", str(folder)],
        cwd=ROOT,
        env={**kept, **env},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


@pytest.mark.parametrize("kind", SKIPS)
def test_a_skip_fails_the_run_in_ci(tmp_path: Path, kind: str) -> None:
    done = run(tmp_path, SKIPS[kind], CI="true")
    assert done.returncode != 0
    assert "too hard" in done.stdout and "CI=true does not allow" in done.stdout


def test_a_skip_passes_elsewhere(tmp_path: Path) -> None:
    assert "1 skipped" in run(tmp_path, SKIPS["call"]).stdout


def test_an_expected_failure_is_not_a_skip(tmp_path: Path) -> None:
    text = "import pytest\n@pytest.mark.xfail(reason='known')\ndef test_it(): assert False\n"
    assert run(tmp_path, text, CI="true").returncode == 0

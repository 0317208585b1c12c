"""The code that the documentation shows is run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.broker import Broker

ROOT = Path(__file__).parents[2]
PAGES = ("docs/howto/publish-from-workers.md", "docs/howto/stream-answers.md", "docs/reference/wire-format.md")


def blocks() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for n, code in enumerate(re.findall(r"```python\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)):
            found.append((f"{Path(page).stem} {n}", code))
    return found


@pytest.mark.parametrize("code", [code for _, code in blocks()], ids=[name for name, _ in blocks()])
@pytest.mark.usefixtures("unmeasured")
def test_a_block_of_the_documentation_runs(own_broker: Broker, code: str) -> None:
    runnable = code.replace("redis://localhost:6379/0", own_broker.url)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", runnable], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr

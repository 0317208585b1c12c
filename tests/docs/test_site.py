"""The documentation as a site: every page is in it, every link leads somewhere, nothing comes from elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.support.node import ROOT


def test_the_site_builds_without_a_warning_and_is_whole(tmp_path: Path) -> None:
    site = tmp_path / "site"
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "-d", str(tmp_path / "trees")]
    done = subprocess.run(
        [*command, str(ROOT / "docs"), str(site)], cwd=ROOT, capture_output=True, text=True, timeout=280
    )
    assert (done.returncode, done.stderr) == (0, "")
    pages = {str(page.relative_to(ROOT / "docs").with_suffix("")) for page in (ROOT / "docs").rglob("*.md")}
    assert all((site / f"{page}.html").exists() for page in pages)
    assert (site / "searchindex.js").exists()
    library = (site / "reference" / "publisher.html").read_text("utf-8")
    assert "progress_interval_s" in library and "JobFinished" in library
    front = (site / "index.html").read_text("utf-8")
    assert re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"(https?:[^\"]+)", front) == []

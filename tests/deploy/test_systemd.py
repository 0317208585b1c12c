"""The systemd unit: systemd takes it, it has time to drain, and few rights."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from gateway.processes import supervisor
from gateway.settings.settings import Settings

UNIT: Final = Path(__file__).parents[2] / "deploy/systemd/sse-gateway.service"
MOST_EXPOSED: Final = 2.0
"""Of ten, as systemd reckons."""


def analyzed(*arguments: str) -> str:
    program = shutil.which("systemd-analyze")
    assert program, "systemd-analyze is missing: install Debian's package systemd, or let make test do it as root."
    found = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def test_systemd_takes_it_and_counts_few_rights(tmp_path: Path) -> None:
    text = UNIT.read_text("utf-8")
    assert "/opt/sse-gateway/bin/sse-gateway" in text
    unit = tmp_path / UNIT.name
    program = Path(sys.executable).with_name("sse-gateway")
    unit.write_text(text.replace("/opt/sse-gateway/bin/sse-gateway", f'"{program}"'))
    analyzed("verify", str(unit))
    exposure = re.search(r"exposure level for \S+ ([\d.]+)", analyzed("security", "--offline=true", str(unit)))
    assert exposure and float(exposure[1]) <= MOST_EXPOSED


def test_it_waits_longer_than_a_drain_takes() -> None:
    wait = re.search(r"^TimeoutStopSec=(\d+)$", UNIT.read_text("utf-8"), re.MULTILINE)
    assert wait and int(wait[1]) > Settings.from_env({}).drain_s + supervisor.END_S

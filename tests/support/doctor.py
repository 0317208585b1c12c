"""``sse-gateway doctor --json`` as a process, and its findings by check."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.commands import run
from tests.support.tokens import SECRET

HEALTHY: dict[str, Any] = {"JWT_KEY": SECRET, "MAX_CONNECTIONS": 10}


@dataclass(frozen=True)
class Diagnosis:
    """What came out of one run."""

    exit_code: int
    findings: Sequence[dict[str, Any]]
    output: str

    def level(self, check: str) -> str:
        return str(self._one(check)["level"])

    def says(self, check: str) -> str:
        """Finding and remedy of a check, all of its lines."""
        rows = [row for row in self.findings if row["check"] == check]
        assert rows, f"nothing was said of {check}: {self.output}"
        return "\n".join(f"{row['text']}\n{row['remedy']}" for row in rows)

    def worse_than_ok(self) -> dict[str, str]:
        """Levels by check; without the latency, which is bad where the machine of the tests is busy."""
        return {
            row["check"]: row["level"] for row in self.findings if row["level"] != "ok" and row["check"] != "latency"
        }

    def _one(self, check: str) -> dict[str, Any]:
        (row,) = [row for row in self.findings if row["check"] == check]
        return row


def diagnose(*arguments: str, **settings: object) -> Diagnosis:
    """Run it with settings that are healthy but for the given ones."""
    given = {name: value for name, value in {**HEALTHY, **settings}.items() if value is not None}
    return parse(run("doctor", "--json", *arguments, **given))


def parse(done: subprocess.CompletedProcess[str]) -> Diagnosis:
    assert done.stderr == ""
    answer = json.loads(done.stdout)
    assert answer["ok"] is (done.returncode == 0)
    return Diagnosis(done.returncode, answer["findings"], done.stdout)

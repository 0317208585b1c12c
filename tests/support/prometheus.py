"""A Prometheus of a test's own: a real process with the example configuration, on a free port, asked over its API."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

from tests.support.ports import HOST, free_port
from tests.support.waiting import wait_until

START_S = 20
STOP_S = 10


def program(name: str) -> str:
    """Where ``prometheus`` or ``promtool`` is."""
    found = shutil.which(name)
    assert found, f"{name} is not on the path: install Debian's package prometheus, or let make test do it as root."
    return found


class Prometheus:
    """Runs with ``config``; keeps what it scrapes in ``folder``."""

    def __init__(self, config: Path, folder: Path) -> None:
        self.port = free_port()
        self._log = folder / "prometheus.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    program("prometheus"),
                    f"--config.file={config}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address={HOST}:{self.port}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What an expression gives now. Raises ``AssertionError`` with Prometheus' words if it is wrong."""
        answer = self._get("/api/v1/query?" + urlencode({"query": expression}))
        assert answer["status"] == "success", f"{expression}: {answer}"
        return list(answer["data"]["result"])

    def rules(self) -> list[dict[str, Any]]:
        """All rules as Prometheus has read them, with the error of the last evaluation if there was one."""
        return [rule for group in self._get("/api/v1/rules")["data"]["groups"] for rule in group["rules"]]

    def targets(self) -> list[dict[str, Any]]:
        """Whom it scrapes, and how that goes."""
        return list(self._get("/api/v1/targets")["data"]["activeTargets"])

    def _get(self, path: str) -> dict[str, Any]:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=10)
        try:
            connection.request("GET", path)
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
            return answer
        finally:
            connection.close()

    def _ready(self) -> bool:
        assert self._process.poll() is None, f"Prometheus ended: {self._log.read_text()[-1500:]}"
        try:
            return bool(self._get("/api/v1/status/runtimeinfo"))
        except (OSError, http.client.HTTPException, ValueError):
            return False

    def __enter__(self) -> Self:
        try:
            wait_until(self._ready, "Prometheus to be ready", START_S)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        self._process.kill()
        self._process.wait(STOP_S)


def promtool(*arguments: str, cwd: Path) -> str:
    """What ``promtool`` says; raises ``AssertionError`` with it where it is not content."""
    done = _run([program("promtool"), *arguments], cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _run(command: Sequence[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=30, check=False)

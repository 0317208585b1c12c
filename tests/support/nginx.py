"""Debian's nginx with the example configuration as a process of a test's own, on a free port, before given nodes."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.ports import HOST, free_port
from tests.support.waiting import wait_until

EXAMPLE = Path(__file__).parents[2] / "deploy/nginx/sse-gateway.conf"
STOP_S = 10


def program() -> str:
    """Where nginx is; Debian keeps it off the path of ordinary users."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    assert found, "nginx is missing: install Debian's package nginx-light, or let make test do it as root."
    return found


class Nginx:
    """The example with only addresses and log folder changed; all its files are in ``folder``."""

    def __init__(self, folder: Path, first: int, second: int) -> None:
        self.port = free_port()
        self._folder = folder
        site = EXAMPLE.read_text()
        changes = {
            "127.0.0.1:8001": f"{HOST}:{first}",
            "127.0.0.1:8002": f"{HOST}:{second}",
            "listen 80;": f"listen {HOST}:{self.port};",
            "/var/log/nginx/": f"{folder}/",
        }
        for old, new in changes.items():
            assert old in site
            site = site.replace(old, new)
        (folder / "site.conf").write_text(site)
        temporary = "".join(
            f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/main.log;\n"
            f"events {{}}\nhttp {{\n{temporary}include {folder}/site.conf;\n}}\n"
        )
        self._command = [program(), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "main.log")]

    @property
    def base(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def logs(self) -> str:
        """All that it has logged."""
        return "".join(path.read_text() for path in sorted(self._folder.glob("*.log")))

    def _listens(self) -> bool:
        assert self._process.poll() is None, self.logs
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self.port)) == 0

    def __enter__(self) -> Self:
        checked = subprocess.run([*self._command, "-t"], capture_output=True, text=True, timeout=30, check=False)
        assert checked.returncode == 0, checked.stderr
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(self._listens, "nginx to listen")
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

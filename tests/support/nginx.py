"""Debian's nginx with the files that ship, as a process of a test's own, on a free port, before given nodes."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.certificate import Certificate
from tests.support.ports import HOST, free_port
from tests.support.waiting import wait_until

SHIPPED = Path(__file__).parents[2] / "deploy/nginx"
STOP_S = 10
SERVER = re.compile(r"(    server )127\.0\.0\.1:8001( max_fails=0;\n)(?:    server 127\.0\.0\.1:800\d max_fails=0;\n)+")


def program() -> str:
    """Where nginx is; Debian keeps it off the path of ordinary users."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    assert found, "nginx is missing: install Debian's package nginx-light, or let make test do it as root."
    return found


class Nginx:
    """The shipped files with only addresses, names and folders changed; all its files are in ``folder``.

    ``certificate``: with TLS and HTTP/2, as shipped; without it over plain HTTP/1.1. ``changes`` are further ones.
    """

    def __init__(
        self,
        folder: Path,
        *ports: int,
        certificate: Certificate | None = None,
        changes: dict[str, str] | None = None,
    ) -> None:
        self.port = free_port()
        self._folder = folder
        self._tls = certificate is not None
        nodes, found = SERVER.subn(
            lambda m: "".join(f"{m[1]}{HOST}:{port}{m[2]}" for port in ports), (SHIPPED / "nodes.conf").read_text()
        )
        assert found == 1
        (folder / "nodes.conf").write_text(nodes)
        (folder / "site.conf").write_text(self._site(certificate, changes or {}))
        temporary = "".join(
            f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/main.log;\n"
            f"worker_rlimit_nofile 8192;\nevents {{ worker_connections 4096; }}\n"
            # Where a server names no log, nginx would open its own, which is root's.
            f"http {{\n{temporary}access_log off;\ninclude {folder}/nodes.conf;\ninclude {folder}/site.conf;\n}}\n"
        )
        self._command = [program(), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "main.log")]

    def _site(self, certificate: Certificate | None, more: dict[str, str]) -> str:
        here = f"listen {HOST}:{self.port}"
        changes = {
            "listen 80;": f"listen {HOST}:{free_port()};",
            "events.example.com": HOST,
            "/var/log/nginx/": f"{self._folder}/",
            # Everybody is one address here.
            "rate=50r/s": "rate=5000r/s",
            "burst=200": "burst=5000",
            "sse_gateway_streams 1000": "sse_gateway_streams 5000",
        }
        if certificate is not None:
            changes["listen 443"] = here
            changes["/etc/nginx/tls/fullchain.pem"] = str(certificate.certificate)
            changes["/etc/nginx/tls/privkey.pem"] = str(certificate.key)
        else:
            changes["listen 443 ssl http2"] = here
            changes["    ssl_reject_handshake on;\n"] = ""
            changes["    ssl_certificate /etc/nginx/tls/fullchain.pem;\n"] = ""
            changes["    ssl_certificate_key /etc/nginx/tls/privkey.pem;\n"] = ""
        site = (SHIPPED / "sse-gateway.conf").read_text()
        for old, new in {**changes, **more}.items():
            assert old in site, old
            site = site.replace(old, new)
        return site

    @property
    def base(self) -> str:
        return f"{'https' if self._tls else 'http'}://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        return self._process.pid

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


@contextmanager
def bare_nginx(folder: Path, upstream: str, locations: str) -> Iterator[str]:
    """An nginx with nothing but this on a free port of the loopback address; its address."""
    port = free_port()
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/main.log;\nevents {{ }}\n"
        f"http {{\n{temporary}access_log off;\n{upstream}\nserver {{\nlisten {HOST}:{port};\n{locations}\n}}\n}}\n"
    )
    command = [program(), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "main.log")]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, timeout=30, check=False)
    assert checked.returncode == 0, checked.stderr
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"http://{HOST}:{port}"
    finally:
        process.terminate()
        process.wait(STOP_S)

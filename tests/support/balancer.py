"""Balancers with the files that ship, as processes of a test's own, on a free port, before given nodes."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.support.certificate import Certificate
from tests.support.ports import HOST, free_port
from tests.support.waiting import wait_until

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
PROXIES: Final = Path(__file__).parents[2] / "build" / "proxies"
"""Where the Makefile puts those that Debian does not have."""
STOP_S: Final = 10


def haproxy(folder: Path, port: int, nodes: Sequence[int]) -> list[str]:
    """Its command, over plain HTTP/1.1."""
    changes = {
        "maxconn 40000": "maxconn 4000",
        "bind :443 ssl crt /etc/haproxy/tls/site.pem alpn h2,http/1.1": f"bind {HOST}:{port}",
        "events.example.com": HOST,
        **_addresses(nodes),
    }
    config = _changed(DEPLOY / "haproxy/haproxy.cfg", folder / "haproxy.cfg", changes)
    return [_program("haproxy"), "-db", "-f", str(config)]


def caddy(folder: Path, port: int, nodes: Sequence[int]) -> list[str]:
    """Its command, over plain HTTP/1.1."""
    changes = {"events.example.com {": f"{{\n\tadmin off\n}}\nhttp://{HOST}:{port} {{", **_addresses(nodes)}
    config = _changed(DEPLOY / "caddy/Caddyfile", folder / "Caddyfile", changes)
    return [_program("caddy"), "run", "--adapter", "caddyfile", "--config", str(config)]


def haproxy_http2(folder: Path, port: int, nodes: Sequence[int]) -> list[str]:
    """Its command, with TLS and HTTP/2 as shipped; ``fullchain.pem`` is in the folder then."""
    made = Certificate.made_in(folder)
    (folder / "site.pem").write_bytes(made.certificate.read_bytes() + made.key.read_bytes())
    changes = {
        "maxconn 40000": "maxconn 4000",
        "bind :443 ssl crt /etc/haproxy/tls/site.pem": f"bind {HOST}:{port} ssl crt {folder / 'site.pem'}",
        **_addresses(nodes),
    }
    config = _changed(DEPLOY / "haproxy/haproxy.cfg", folder / "haproxy.cfg", changes)
    return [_program("haproxy"), "-db", "-f", str(config)]


def caddy_http2(folder: Path, port: int, nodes: Sequence[int]) -> list[str]:
    """The command of a Caddy of today, with TLS and HTTP/2, and with the lines that compress; ``fullchain.pem`` is in
    the folder then."""
    made = Certificate.made_in(folder)
    changes = {
        "events.example.com {": "{\n\tadmin off\n\tauto_https disable_redirects\n}\n"
        f"https://localhost:{port} {{\n\tbind {HOST}\n\ttls {made.certificate} {made.key}",
        "#header_down": "header_down",
        "\t#encode gzip {\n\t#\tmatch": "\tencode gzip {\n\t\tmatch",
        "\t#}\n": "\t}\n",
        **_addresses(nodes),
    }
    config = _changed(DEPLOY / "caddy/Caddyfile", folder / "Caddyfile", changes)
    return [_program("caddy", path=str(PROXIES / "bin")), "run", "--adapter", "caddyfile", "--config", str(config)]


def envoy(folder: Path, port: int, nodes: Sequence[int]) -> list[str]:
    """Its command, over plain HTTP/1.1."""
    text = (DEPLOY / "envoy/envoy.yaml").read_text()
    tls = text[text.index("        - transport_socket:") : text.index("          filters:")]
    changes = {
        tls + "          filters:": "        - filters:",
        "address: 0.0.0.0, port_value: 443": f"address: {HOST}, port_value: {port}",
        "events.example.com": HOST,
        **{f"port_value: {8001 + number}": f"port_value: {node}" for number, node in enumerate(nodes)},
    }
    config = _changed(DEPLOY / "envoy/envoy.yaml", folder / "envoy.yaml", changes)
    return [_program("envoy"), "-c", str(config), "--log-level", "warn", "--use-dynamic-base-id", "--concurrency", "1"]


def traefik(folder: Path, port: int, nodes: Sequence[int]) -> list[str]:
    """Its command, over plain HTTP/1.1."""
    served = _changed(
        DEPLOY / "traefik/nodes.yaml",
        folder / "nodes.yaml",
        {"tls:\n  certificates:\n    - {": "#", "events.example.com": HOST, **_addresses(nodes)},
    )
    changes = {
        '":443"': f'"{HOST}:{port}"',
        "    http: { tls: {} }\n": "",
        "/etc/traefik/nodes.yaml": str(served),
    }
    return [
        _program("traefik"),
        f"--configFile={_changed(DEPLOY / 'traefik/traefik.yaml', folder / 'traefik.yaml', changes)}",
    ]


def _addresses(nodes: Sequence[int]) -> dict[str, str]:
    """There are as many nodes here as in the files."""
    return {f"127.0.0.1:{8001 + number}": f"{HOST}:{port}" for number, port in enumerate(nodes)}


def _changed(shipped: Path, target: Path, changes: dict[str, str]) -> Path:
    text = shipped.read_text()
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    target.write_text(text)
    return target


def _program(name: str, path: str | None = None) -> str:
    elsewhere = f"/usr/sbin:{PROXIES / 'envoy' / '_bin'}:{PROXIES / 'bin'}"
    found = shutil.which(name, path=path) or shutil.which(name, path=elsewhere)
    assert found, f"{name} is missing: make test brings it."
    return found


class Balancer:
    """``kind`` is one of the functions above; its files are in ``folder``."""

    def __init__(self, kind: Callable[[Path, int, Sequence[int]], list[str]], folder: Path, *nodes: int) -> None:
        self.port = free_port()
        self._log = folder / "balancer.log"
        command = kind(folder, self.port, nodes)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={"HOME": str(folder), "PATH": "/usr/sbin:/usr/bin:/bin"},
            )

    @property
    def base(self) -> str:
        return f"http://{HOST}:{self.port}"

    def _listens(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self.port)) == 0

    def __enter__(self) -> Self:
        try:
            wait_until(self._listens, "the balancer to listen")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait(STOP_S)

"""The files that ship, with the addresses of this machine in them, in a folder that git ignores."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.support.certificate import Certificate
from tests.support.nginx import SERVER, SHIPPED
from tests.support.ports import HOST

DEPLOY: Final = SHIPPED.parent
STRANGERS: Final = re.compile(r"# Other names than those below.*?\n}\n\n", re.DOTALL)
REDIRECT: Final = re.compile(r"server {\n    listen 80;.*?\n}\n\n", re.DOTALL)
TARGETS: Final = re.compile(r"targets: \[.*\]")


def nginx(folder: Path, port: int, nodes: Sequence[int], certificate: Certificate) -> Path:
    """nginx' configuration. It answers to any name, because there is one address; and to no port but this one."""
    upstream, found = SERVER.subn(
        lambda m: "".join(f"{m[1]}{HOST}:{node}{m[2]}" for node in nodes), (SHIPPED / "nodes.conf").read_text()
    )
    site = (SHIPPED / "sse-gateway.conf").read_text()
    for pattern in (STRANGERS, REDIRECT):
        site, removed = pattern.subn("", site)
        found += removed
    assert found == 3
    for old, new in (
        ("listen 443", f"listen {HOST}:{port}"),
        ("/etc/nginx/tls/fullchain.pem", str(certificate.certificate)),
        ("/etc/nginx/tls/privkey.pem", str(certificate.key)),
        ("/var/log/nginx/", f"{folder}/"),
    ):
        assert old in site
        site = site.replace(old, new)
    temporary = "".join(
        f'{name}_temp_path "{folder}/{name}";\n' for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nodes.conf").write_text(upstream)
    (folder / "site.conf").write_text(_quoted(site, folder))
    whole = folder / "nginx.conf"
    whole.write_text(
        f'daemon off;\nmaster_process off;\npid "{folder}/pid";\nworker_rlimit_nofile 8192;\n'
        f"events {{ worker_connections 4096; }}\nhttp {{\n{temporary}"
        f'include "{folder}/nodes.conf";\ninclude "{folder}/site.conf";\n}}\n'
    )
    return whole


def _quoted(site: str, folder: Path) -> str:
    """Paths in quotes: there may be spaces in them."""
    return re.sub(rf"(?<= ){re.escape(str(folder))}[^ ;]*", lambda m: f'"{m[0]}"', site)


def prometheus(folder: Path, nodes: Sequence[int]) -> Path:
    config = (DEPLOY / "compose/prometheus.yml").read_text()
    targets = ", ".join(f"{HOST}:{node}" for node in nodes)
    config, found = TARGETS.subn(f"targets: [{targets}]", config)
    assert found == 1
    (folder / "rules.yml").write_text((DEPLOY / "prometheus/rules.yml").read_text())
    whole = folder / "prometheus.yml"
    whole.write_text(config)
    return whole

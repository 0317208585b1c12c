"""compose.yaml and the Dockerfile: what can be seen of them without a daemon."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import yaml
from compose_spec import PyCompose

from tests.support import nginx, prometheus
from tests.support.broker import Broker
from tests.support.certificate import Certificate
from tests.support.ports import HOST, free_port
from tests.support.publishers import Reader
from tests.support.waiting import wait_until

ROOT: Final = Path(__file__).parents[2]
COMPOSE: Final[dict[str, Any]] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
FOLDER: Final = ROOT / "deploy" / "compose"
NODES: Final = ("node1", "node2", "node3")


def mounts() -> list[tuple[Path, str]]:
    """Files and folders of the repository, and where they are seen."""
    found = [each.split(":")[:2] for service in SERVICES.values() for each in service.get("volumes", [])]
    return [(ROOT / source, target) for source, target in found if source.startswith("./")]


def test_it_is_what_compose_understands() -> None:
    services = {name: value for name, value in COMPOSE.items() if not name.startswith("x-")}
    read = PyCompose.from_json(json.dumps(services))
    assert sorted(read.service_names()) == sorted(
        [*NODES, "grafana", "nginx", "prometheus", "redis", "worker"],
    )


def test_every_file_that_it_mounts_is_there_and_a_certificate_is_never_kept() -> None:
    missing = [source for source, _ in mounts() if not source.exists()]
    assert missing in ([], [FOLDER / "tls"])
    assert subprocess.run(["git", "check-ignore", "-q", FOLDER / "tls" / "privkey.pem"], cwd=ROOT).returncode == 0


def test_no_secret_has_a_default() -> None:
    for name, service in SERVICES.items():
        for setting, value in service.get("environment", {}).items():
            if re.search("KEY|PASSWORD|TOKEN", setting):
                assert re.fullmatch(r"\$\{\w+:\?.+\}", value), (name, setting)


def test_nodes_have_no_rights_and_time_to_drain() -> None:
    for name in NODES:
        node = SERVICES[name]
        assert node["read_only"] is True and node["cap_drop"] == ["ALL"] and not node.get("ports")
        grace_s = int(node["stop_grace_period"].removesuffix("s"))
        assert grace_s >= int(node["environment"]["GATEWAY_DRAIN_S"]) + 5 + 3
        assert SERVICES["nginx"]["networks"]["inner"]["ipv4_address"] == node["environment"]["GATEWAY_TRUSTED_PROXIES"]
    assert [name for name, service in SERVICES.items() if any(":" in p[:5] for p in service.get("ports", []))] == [
        "nginx"
    ]


def test_nginx_and_prometheus_take_their_files(tmp_path: Path) -> None:
    upstream = (FOLDER / "nodes.conf").read_text()
    assert re.findall(r"server ([\d.]+):8000", upstream) == [
        SERVICES[name]["networks"]["inner"]["ipv4_address"] for name in NODES
    ]
    made = Certificate.made_in(tmp_path)
    site = (ROOT / "deploy/nginx/sse-gateway.conf").read_text()
    elsewhere = {
        "/etc/nginx/tls/": f"{made.key.parent}/",
        "/var/log/nginx/": f"{tmp_path}/",
        "listen 443": f"listen {HOST}:{free_port()}",  # it binds them for its check
        "listen 80": f"listen {HOST}:{free_port()}",
    }
    for old, new in elsewhere.items():
        assert old in site
        site = site.replace(old, new)
    (tmp_path / "a.conf").write_text(upstream)
    (tmp_path / "b.conf").write_text(site)
    whole = (FOLDER / "nginx.conf").read_text()
    changes = {
        "/etc/nginx/conf.d/*.conf": f"{tmp_path}/?.conf",
        "/run/nginx.pid": f"{tmp_path}/pid",
        "http {": "http {\n    access_log off;",  # else it opens one that only root may
    }
    for old, new in changes.items():
        assert old in whole
        whole = whole.replace(old, new)
    (tmp_path / "nginx.conf").write_text(whole)
    checked = subprocess.run(
        [nginx.program(), "-t", "-c", tmp_path / "nginx.conf", "-e", tmp_path / "log"], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr
    (tmp_path / "prometheus.yml").write_text((FOLDER / "prometheus.yml").read_text())
    (tmp_path / "rules.yml").write_text((ROOT / "deploy/prometheus/rules.yml").read_text())
    prometheus.promtool("check", "config", "prometheus.yml", cwd=tmp_path)


def test_the_image_has_what_its_commands_name_and_no_root() -> None:
    lines = (ROOT / "deploy/Dockerfile").read_text()
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", lines, re.MULTILINE)
    sources = re.findall(r"^COPY (?!--from)(.+) \S+$", lines, re.MULTILINE)
    kept = set(re.findall(r"^!(.+)$", (ROOT / "deploy/Dockerfile.dockerignore").read_text(), re.MULTILINE))
    assert {name for line in sources for name in line.split()} == kept
    assert all((ROOT / name).exists() for name in kept)
    probe = re.search(r'CMD \["python3", "-c", "(.+)"\]', lines)
    assert probe
    assert subprocess.run([sys.executable, "-c", probe[1].replace(":8000", ":9")], stderr=-3).returncode == 1


def test_its_worker_reports_jobs_until_it_is_told_to_stop(own_broker: Broker) -> None:
    worker = subprocess.Popen(
        [sys.executable, FOLDER / "worker.py"],
        env={**os.environ, "GATEWAY_REDIS_URL": own_broker.url, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    reader = Reader(own_broker.url, "sse")
    try:
        wait_until(lambda: "demo-started" in reader.types("topic:demo"), "a job")
    finally:
        reader.close()
        worker.send_signal(signal.SIGTERM)
        said, _ = worker.communicate(timeout=60)
    assert worker.returncode == 0 and "Traceback" not in said

"""The Helm chart: rendered by Helm itself, held to Kubernetes' own schemas, and refused where it would lose streams."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from gateway.settings.settings import Settings
from tests.support.node import ROOT
from tests.support.tokens import SECRET

HELM = Path(sys.prefix) / "bin" / "helm"
CHART = ROOT / "deploy" / "helm" / "sse-gateway"
EVERYTHING = (
    "ingress.enabled=true",
    "ingress.host=events.example.com",
    "ingress.tlsSecret=tls",
    "serviceMonitor.enabled=true",
    "metricsTokenKey=METRICS",
    "trustedProxies={10.0.0.0/8,10.1.0.0/16}",
)


def helm(*given: str) -> subprocess.CompletedProcess[str]:
    values = [word for value in given for word in ("--set", value)]
    return subprocess.run(
        [str(HELM), "template", "live", str(CHART), *values], capture_output=True, text=True, timeout=60
    )


def rendered(*given: str) -> dict[str, Any]:
    done = helm("existingSecret=gateway", *given)
    assert done.returncode == 0, done.stderr
    return {each["kind"]: each for each in yaml.safe_load_all(done.stdout) if each}


def test_lint_finds_nothing() -> None:
    done = subprocess.run(
        [str(HELM), "lint", "--strict", str(CHART), "--set", "existingSecret=s"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("given", [(), EVERYTHING])
def test_what_is_rendered_is_what_kubernetes_takes(given: tuple[str, ...]) -> None:
    for kind, made in rendered(*given).items():
        if kind != "ServiceMonitor":  # the operator's own
            kubernetes_validate.validate(made, "1.30", strict=True)


def test_a_node_takes_its_settings_and_has_the_time_to_drain() -> None:
    pod = rendered(*EVERYTHING)["Deployment"]["spec"]["template"]["spec"]
    (node,) = pod["containers"]
    environ = {each["name"]: each.get("value", "from-the-secret-it-is") for each in node["env"]}
    settings = Settings.from_env({**environ, "GATEWAY_JWT_KEY": SECRET, "GATEWAY_REDIS_URL": "redis://r:6379/0"})
    settings.check_serving()
    pre_stop = int(node["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pre_stop + settings.drain_s + 3 <= pod["terminationGracePeriodSeconds"]
    assert node["securityContext"]["readOnlyRootFilesystem"] and pod["securityContext"]["runAsNonRoot"]
    assert node["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert node["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_nothing_of_the_inner_network_is_routed() -> None:
    (rule,) = rendered(*EVERYTHING)["Ingress"]["spec"]["rules"]
    paths = {each["path"]: each["pathType"] for each in rule["http"]["paths"]}
    assert paths["/"] == "Exact"
    assert not {"/metrics", "/livez", "/readyz"} & set(paths)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["existingSecret="], "existingSecret: name a secret with GATEWAY_REDIS_URL"),
        (["times.grace=20"], "must fit into grace (20): raise grace to 21."),
        (["times.preStop=13"], "preStop (13) + drain (15) + 3 s must fit into grace (30)"),
        (["times.heartbeat=30"], "times.heartbeat (30): twice that must be below 60 s"),
        (["times.maxStreamAge=18"], "times.drain (15) must be below 0.8 × maxStreamAge (18)"),
        (["settings.GATEWAY_TRUSTED_PROXIES=any"], "settings.GATEWAY_TRUSTED_PROXIES: set it by times"),
        (["settings.GATEWAY_JWT_KEY=hush"], "settings.GATEWAY_JWT_KEY: it may be secret"),
        (["settings.JWT_KEY=x"], "settings"),
        (["replicas=0"], "replicas"),
        (["ingress.enabled=true"], "ingress.host: name the host"),
        (["nonsense=1"], "nonsense"),
    ],
)
def test_values_that_would_lose_streams_or_make_no_sense_are_refused(given: list[str], sentence: str) -> None:
    done = helm("existingSecret=gateway", *given)
    assert done.returncode != 0 and done.stdout == ""
    assert sentence in done.stderr
    assert "hush" not in done.stderr


def test_the_chart_has_the_projects_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    assert (chart["version"], chart["appVersion"]) == (project["version"], project["version"])

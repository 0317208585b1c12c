"""The rules, the example configuration and the dashboard work with a real Prometheus that scrapes real nodes."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gateway.metrics.rows import PREFIX, ROWS
from publisher import AsyncPublisher
from tests.support.eventsource import EventSource
from tests.support.http1 import request
from tests.support.node import Node
from tests.support.ports import HOST
from tests.support.prometheus import Prometheus, promtool
from tests.support.tokens import token
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy" / "prometheus"
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy" / "grafana" / "sse-gateway.json").read_text("utf-8"))
MONITOR = (ROOT / "docs" / "howto" / "monitor.md").read_text("utf-8")
SCRAPE_TOKEN = "the-token-of-the-scraper"

VARIABLES = {"$job": "sse-gateway", "$instance": ".*", "$__rate_interval": "15s"}
SELECTOR = re.compile(r"(?:(?:job|instance):)?(?:sse_gateway|process)_[\w:]+(?:\{[^}]*\})?|\bup\{[^}]*\}")


def _reader() -> str:
    return token("ann", channels=["topic:*"])


AUTHORIZATION = re.compile(
    r"^    # (authorization:\n)    # (  type: .*\n)    # (  credentials_file: .*\n)", re.MULTILINE
)


def copied(folder: Path, *nodes: Node) -> Path:
    """The example configuration in a folder of the test's own, for these nodes, with an interval of a second and with
    the token that they want."""
    shutil.copytree(DEPLOY, folder, dirs_exist_ok=True)
    (folder / "metrics.token").write_text(SCRAPE_TOKEN)
    config = folder / "prometheus.yml"
    text = config.read_text("utf-8")
    text, intervals = re.subn(r"(_interval: )15s", r"\g<1>1s", text)
    assert intervals == 2
    text, blocks = AUTHORIZATION.subn(r"    \1    \2    \3", text)
    assert blocks == 1
    if nodes:
        for example, node in zip(("127.0.0.1:8001", "127.0.0.1:8002"), nodes, strict=True):
            assert text.count(example) == 1
            text = text.replace(example, f"{HOST}:{node.port}")
    config.write_text(text)
    return config


def panels() -> Iterator[dict[str, Any]]:
    """All panels of the dashboard that show something."""
    return (panel for panel in DASHBOARD["panels"] if panel["type"] != "row")


def expressions() -> Iterator[str]:
    """What the dashboard asks, with its variables filled in as Grafana would."""
    shown = [target["expr"] for panel in panels() for target in panel["targets"]]
    marked = [each["expr"] for each in DASHBOARD["annotations"]["list"] if "expr" in each]
    for expression in [*shown, *marked]:
        for variable, value in VARIABLES.items():
            expression = expression.replace(variable, value)
        assert "$" not in expression, expression
        yield expression


def alerts() -> list[str]:
    return re.findall(r"- alert: (\w+)", (DEPLOY / "rules.yml").read_text("utf-8"))


def has_numbers(series: list[dict[str, Any]]) -> bool:
    return any(each["value"][1] != "NaN" for each in series)


async def load(nodes: list[Node], publisher: AsyncPublisher) -> None:
    """Streams in two dialects on each node that come, go, resume and are refused, while events are published."""
    for number in range(8):
        for node in nodes:
            path = "/v1/events?channel=topic:load"
            async with EventSource(node.base, path, token=_reader()) as stream:
                await stream.next_of_type("stream.open")
                await publisher.publish("topic:load", "tick", {"number": number})
                await stream.next_of_type("tick")
            async with EventSource(node.base, path, token=_reader(), last_event_id=stream.last_event_id) as again:
                assert (await again.next_of_type("stream.open")).json()["resumed"] is True
            assert (await request(node.base, path)).status == 401


async def test_every_rule_and_every_panel_has_data_of_two_nodes(
    start_node: Callable[..., Node], redis_url: str, prefix: str, tmp_path: Path
) -> None:
    nodes = [start_node(METRICS_TOKEN=SCRAPE_TOKEN) for _ in range(2)]
    with Prometheus(copied(tmp_path, *nodes), tmp_path) as prometheus:
        async with AsyncPublisher.from_url(redis_url, prefix=prefix) as publisher:
            async with EventSource(nodes[0].base, "/v1/events?channel=topic:load", token=_reader()) as watcher:
                await watcher.next_of_type("stream.open")

                async def lacking() -> list[str]:
                    asked = [
                        *expressions(),
                        *[rule["name"] for rule in prometheus.rules() if rule["type"] == "recording"],
                    ]
                    return [each for each in asked if not has_numbers(prometheus.query(each))]

                async def complete() -> bool:
                    await load(nodes, publisher)
                    return not await lacking()

                try:
                    await until(complete, "data", timeout_s=20)
                except TimeoutError:
                    raise AssertionError(f"Without data: {await lacking()}") from None

        assert {target["health"] for target in prometheus.targets()} == {"up"}
        assert len(prometheus.query('sum by (instance) (up{job="sse-gateway"})')) == 2
        rules = prometheus.rules()
        assert [rule["name"] for rule in rules if rule["type"] == "alerting"] == alerts()
        for rule in rules:
            assert rule["health"] == "ok" and not rule.get("lastError"), rule
            for selector in SELECTOR.findall(rule["query"]):
                assert prometheus.query(selector), f"{rule['name']} looks at {selector}, which is not there"
        # All is well, so that no alert has a reason.
        assert [rule["name"] for rule in rules if rule["type"] == "alerting" and prometheus.query(rule["query"])] == []


def test_promtool_finds_nothing_wrong(tmp_path: Path) -> None:
    """Neither in the example as it is, nor with its options."""
    assert "SUCCESS" in promtool("check", "config", "prometheus.yml", cwd=DEPLOY)
    folder = copied(tmp_path).parent
    assert "SUCCESS" in promtool("check", "config", "prometheus.yml", cwd=folder)
    assert "SUCCESS" in promtool("check", "rules", "rules.yml", cwd=folder)
    assert "SUCCESS" in promtool("test", "rules", "rules.test.yml", cwd=folder)


def test_every_alert_is_tried_and_explained() -> None:
    """With a test in which it fires and one in which it does not, and a section that says what to do."""
    tried = (DEPLOY / "rules.test.yml").read_text("utf-8")
    rules = (DEPLOY / "rules.yml").read_text("utf-8")
    for alert in alerts():
        checks = re.findall(rf'ALERTS{{alertname="{alert}", alertstate="firing"}}\n +exp_samples:(.*)\n', tried)
        assert " []" in checks and "" in checks, alert
        assert f"\n### {alert}\n" in MONITOR, alert
        assert f"runbook: docs/howto/monitor.md#{alert.lower()}\n" in rules, alert


def test_the_dashboard_is_whole() -> None:
    """Ids are unique, panels lie beside each other, and every query takes the source and the nodes that were chosen."""
    assert DASHBOARD["schemaVersion"] >= 38 and DASHBOARD["uid"] and DASHBOARD["title"]
    assert [each["name"] for each in DASHBOARD["templating"]["list"]] == ["datasource", "job", "instance"]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    cells: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        mine = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24 and not cells & mine, panel["title"]
        cells |= mine
    for panel in panels():
        assert panel["targets"] and panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == panel["datasource"]["uid"] == "${datasource}"
            assert target["expr"].count('{job=~"$job", instance=~"$instance"') == len(SELECTOR.findall(target["expr"]))


def test_the_dashboard_shows_every_metric_that_may_call_for_somebody() -> None:
    asked = " ".join(expressions())
    missing = [row.name for row in ROWS if f"{PREFIX}_{row.name}" not in asked]
    assert missing == ["bytes_sent_total"]

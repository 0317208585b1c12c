"""What a node tells Prometheus is what the page about it says, in types, labels and values."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.http.api import Api
from tests.support.eventsource import EventSource
from tests.support.http1 import request
from tests.support.node import Node
from tests.support.tokens import token

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "metrics.md").read_text("utf-8")
ROW = re.compile(
    r"^\| `(?P<name>\w+)` \| (?P<kind>counter|gauge|histogram) \| [^|]+ \| (?P<label>[^|]+) \|", re.MULTILINE
)
PROCESS = {"process_cpu_seconds_total", "process_start_time_seconds", "process_resident_memory_bytes"}


def documented() -> dict[str, tuple[str, str, set[str]]]:
    """Kind, label and label values of each metric, as the page has them."""
    found = {}
    for row in ROW.finditer(PAGE):
        label = re.fullmatch(r"\[`(\w+)`\]\(#(.+)\)", row["label"])
        values = set()
        if label:
            section = next(
                part for part in PAGE.split("\n## ")[1:] if part.partition("\n")[0].replace(" ", "-") == label[2]
            )
            values = set(re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE))
        found[f"sse_gateway_{row['name']}"] = (row["kind"], label[1] if label else "", values)
    return found


async def scraped(api: Api) -> dict[str, tuple[str, set[str], set[str]]]:
    """Kind, labels and label values of each metric, as the node has them."""
    found: dict[str, tuple[str, set[str], set[str]]] = {}
    for family in text_string_to_metric_families((await api.call("GET", "/metrics")).body.decode()):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = [sample.labels for sample in family.samples]
        keys = {key for each in labels for key in each} - {"le"}
        found[name] = (family.type, keys, {each[key] for each in labels for key in keys})
    return found


async def test_the_page_lists_what_a_node_shows_and_nothing_else(api: Api, node: Node, name: str) -> None:
    """After streams of all outcomes there is still no label value that the page does not have."""
    path = f"/v1/events?channel=topic:{name}"
    async with EventSource(node.base, path, token=token("ann", channels=["topic:*"])) as stream:
        await stream.next_of_type("stream.open")
    for bad in (path, "/v1/events", "/v1/jobs/no/events", "/api/generation?sessionId=no"):
        await request(node.base, bad, headers={"Accept": "text/event-stream"})
        await request(node.base, bad, headers={"Authorization": f"Bearer {token('ann')}"})
    async with EventSource(
        node.base, path, token=token("ann", channels=["topic:*"]), last_event_id="nonsense"
    ) as again:
        await again.next_of_type("stream.reset")
    shown, page = await scraped(api), documented()
    assert shown.keys() - PROCESS == page.keys() and len(page) > 20
    for metric, (kind, label, values) in page.items():
        assert shown[metric][:2] == (kind, {label} - {""}), metric
        assert shown[metric][2] == values or metric == "sse_gateway_build_info", metric

"""Two nodes behind nginx with the example configuration, and what a test asks and tells them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from publisher import Publisher
from tests.support.nginx import Nginx
from tests.support.node import Node
from tests.support.tokens import token

KEPT_EVENTS = 5_000
"""More than a test publishes while streams are away, however slow the machine is."""


class Site:
    """Two nodes, their nginx, and a publisher."""

    def __init__(self, nodes: tuple[Node, Node], nginx: Nginx, publisher: Publisher) -> None:
        self.nodes, self.nginx, self.publisher = nodes, nginx, publisher

    @property
    def base(self) -> str:
        return self.nginx.base

    @property
    def logs(self) -> str:
        """All that nginx and the nodes have logged."""
        return self.nginx.logs + "".join(node.log for node in self.nodes)

    def streams(self, node: Node) -> int:
        """How many a node has now."""
        return _figure(node, "connections")

    def all_streams(self) -> int:
        return self.total("connections")

    def total(self, name: str, **labels: str) -> int:
        """The sum of a metric (named without ``sse_gateway_``) over both nodes."""
        return sum(_figure(node, name, **labels) for node in self.nodes)

    def ticket(self, *channels: str) -> str:
        """What ann may put in an address to read these."""
        answer = httpx.post(
            f"{self.base}/v1/tickets",
            json={"channels": channels},
            headers={"Authorization": f"Bearer {token('ann')}"},
        )
        return str(answer.raise_for_status().json()["ticket"])


def _figure(node: Node, name: str, **labels: str) -> int:
    page = httpx.get(f"{node.base}/metrics").raise_for_status().text
    return int(
        sum(
            sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
            if sample.name == f"sse_gateway_{name}" and labels.items() <= sample.labels.items()
        )
    )


@contextmanager
def running_site(redis_url: str, prefix: str, folder: Path, **settings: Any) -> Iterator[Site]:
    """``settings`` are those of both nodes; browsers come back at once unless they say otherwise."""
    given: dict[str, Any] = {"RETRY_MS": "50-100", "LOG_LEVEL": "debug", **settings}
    nodes = (Node(redis_url, prefix, **given), Node(redis_url, prefix, **given))
    with ExitStack() as stack:
        for node in nodes:
            stack.callback(node.close)
            node.start(wait_ready=False)
        for node in nodes:
            node.wait_ready()
        nginx = stack.enter_context(Nginx(folder, nodes[0].port, nodes[1].port))
        publisher = stack.enter_context(Publisher.from_url(redis_url, prefix=prefix, history_events=KEPT_EVENTS))
        yield Site(nodes, nginx, publisher)

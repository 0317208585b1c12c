"""What balancers, Prometheus and tools ask."""

from __future__ import annotations

import json
from collections.abc import Callable

from gateway.version import version
from tests.http.api import DOCUMENT, Api
from tests.support.broker import Broker
from tests.support.node import Node
from tests.support.waiting import until


async def test_a_node_that_hears_redis_is_alive_and_ready(api: Api) -> None:
    assert (await api.call("GET", "/livez")).json == {"status": "alive"}
    assert (await api.call("GET", "/readyz")).json == {"status": "ready"}
    assert (await api.call("HEAD", "/readyz")).body == b""


async def test_a_node_without_redis_is_alive_and_not_ready_until_it_is_back(own_broker: Broker) -> None:
    with Node(own_broker.url) as node:
        api = Api(node.base)
        own_broker.stop()

        async def readiness() -> int:
            return (await api.call("GET", "/readyz")).status

        async def unready() -> bool:
            return await readiness() == 503

        await until(unready, "the node to say that Redis is away")
        answer = await api.call("GET", "/readyz")
        assert answer.code == "redis_down"
        assert (await api.call("GET", "/livez")).status == 200
        assert (await api.call("GET", "/v1/jobs/x", sub="ann")).status == 503
        assert (await api.call("GET", "/v1/jobs", sub="ann")).status == 503
        own_broker.start()

        async def ready() -> bool:
            return await readiness() == 200

        await until(ready, "the node to be ready again")


async def test_metrics_are_in_the_format_of_prometheus(api: Api) -> None:
    answer = await api.call("GET", "/metrics")
    assert answer.headers["cache-control"] == "no-store"
    lines = answer.body.decode().splitlines()
    assert "sse_gateway_redis_up 1.0" in lines
    assert f'sse_gateway_build_info{{version="{version()}"}} 1.0' in lines


async def test_metrics_want_their_token_where_one_is_set(start_node: Callable[..., Node]) -> None:
    node = start_node(METRICS_TOKEN="the-token-of-the-scraper")
    api = Api(node.base)
    for authorization in ("", "Bearer", "Bearer the-token-of-the-scrape", "Basic the-token-of-the-scraper", "Bearer é"):
        answer = await api.call("GET", "/metrics", headers={"Authorization": authorization})
        assert answer.status == 401
        assert b"the-token" not in answer.body
    assert (
        await api.call("GET", "/metrics", headers={"Authorization": "bearer the-token-of-the-scraper"})
    ).status == 200
    assert "the-token" not in node.log


async def test_the_description_is_the_one_of_this_version(api: Api) -> None:
    answer = await api.call("GET", "/openapi.json")
    assert answer.json == DOCUMENT
    assert answer.json["info"]["version"] == version()
    assert "secret" not in json.dumps(answer.json)

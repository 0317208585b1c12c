"""A node below a path of its site: behind a proxy that cuts the path off, and behind one that does not."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.support.eventsource import EventSource
from tests.support.http1 import request
from tests.support.node import Node
from tests.support.tokens import token


async def test_a_node_answers_with_and_without_the_path_and_tells_it(start_node: Callable[..., Node]) -> None:
    node = start_node(ROOT_PATH="/apps/sse/", ALLOWED_HOSTS="app.example", JOB_WAIT_S=0)
    assert f"{node.base}/apps/sse" in node.log
    named = {"Host": "app.example"}
    for path in ("/readyz", "/apps/sse/readyz"):  # balancers ask by address
        assert (await request(node.base, path)).status == 200
    for path in ("/", "/apps/sse/", "/static/ui.js", "/apps/sse/static/ui.js"):
        assert (await request(node.base, path, headers=named)).status == 200, path
    for path in ("/apps/ssex/readyz", "/apps", "/apps/sse/apps/sse/readyz", "/sse/readyz"):
        assert (await request(node.base, path, headers=named)).status == 404, path
    bare = await request(node.base, "/apps/sse", headers=named)
    assert (bare.status, bare.headers["location"]) == (308, "/apps/sse/")
    page = (await request(node.base, "/apps/sse/", headers=named)).body.decode()
    assert "http://app.example/apps/sse/v1/events" in page
    described = json.loads((await request(node.base, "/openapi.json", headers=named)).body)
    assert described["servers"][0]["url"] == "/apps/sse"


async def test_a_created_job_is_found_where_its_location_says(start_node: Callable[..., Node]) -> None:
    node = start_node(ROOT_PATH="/sse")
    for path in ("/v1/jobs", "/sse/v1/jobs"):
        job_id = f"a{len(path)}"
        body = json.dumps({"job_id": job_id, "kind": "k", "owner": "ann"}).encode()
        headers = {"Authorization": f"Bearer {token('w', scope='publish')}", "Content-Type": "application/json"}
        made = await request(node.base, path, method="POST", headers=headers, body=body)
        assert (made.status, made.headers["location"]) == (201, f"/sse/v1/jobs/{job_id}")
        async with EventSource(node.base, f"{made.headers['location']}/events", token=token("ann")) as source:
            await source.next_of_type("job.state")

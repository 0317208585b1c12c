"""The back end of the tutorial's third page runs as it stands, and its job is its user's alone."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

from tests.support.eventsource import EventSource
from tests.support.http1 import request
from tests.support.node import ROOT, Node
from tests.support.ports import HOST, free_port
from tests.support.tokens import SECRET, token
from tests.support.waiting import until

PAGE = (ROOT / "docs" / "tutorial" / "your-back-end.md").read_text("utf-8")


async def test_the_tutorials_back_end_shows_a_job_to_its_owner(
    start_node: Callable[..., Node], redis_url: str, tmp_path: Path
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    program = tmp_path / "backend.py"
    program.write_text(code.replace("time.sleep(0.3)", "time.sleep(0.01)"), "utf-8")
    node, port = start_node(REDIS_PREFIX="sse", JOB_WAIT_S="0.1"), free_port()
    settings = {"GATEWAY_JWT_KEY": SECRET, "REDIS_URL": redis_url, "NODES_URL": node.base, "PORT": str(port)}
    base = f"http://{HOST}:{port}"
    back_end = await asyncio.create_subprocess_exec(sys.executable, str(program), env={**os.environ, **settings})
    try:

        async def answers() -> bool:
            try:
                return f'from "{node.base}/static/sse-client.js"'.encode() in (await request(base, "/")).body
            except OSError:
                return False

        await until(answers, "the back end")
        ordered = await request(base, "/pictures", method="POST", headers={"Cookie": "user=bob"})
        job_id = ordered.headers["location"].partition("job=")[2]
        bobs = (await request(base, "/events-token", headers={"Cookie": "user=bob"})).body.decode()
        async with EventSource(node.base, f"/v1/jobs/{job_id}/events", token=bobs) as source:
            done = await source.collect_until(lambda event: '"status":"completed"' in event.data)
            assert done[-1].json()["result"] == {"url": "/pictures/1.png"}
        async with EventSource(node.base, f"/v1/jobs/{job_id}/events", token=token("eve")) as source:
            await source.stopped.wait()
            assert source.status == 404
    finally:
        back_end.terminate()
        await back_end.wait()

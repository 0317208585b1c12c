"""The commands on the landing page of ``dev``, as they stand there."""

from __future__ import annotations

import html
import json
import re
import sys

from tests.http.curl import Curl
from tests.support.eventsource import EventSource
from tests.support.http1 import request
from tests.support.node import Node

DEV = (sys.executable, "-m", "gateway", "dev", "--no-demo")


async def test_the_commands_of_the_dev_page_work_as_they_are(redis_url: str, prefix: str) -> None:
    with Node(redis_url, prefix, command=DEV) as node:
        page = (await request(node.base, "/")).body.decode()
        blocks = re.findall(r"<pre tabindex=\"0\"><code>(.*?)</code></pre>", page, re.DOTALL)
        lines = [html.unescape(block) for block in blocks]
        assert redis_url in lines
        assert [line for line in lines if line.endswith(f"--redis-url {redis_url}")]
        listen, tell, token = [Curl(line) for line in lines if line.startswith("curl ")]
        async with EventSource(node.base, listen.url.removeprefix(node.base)) as stream:
            await stream.next_event()
            told = await request(
                node.base, tell.url.removeprefix(node.base), method=tell.method, headers=tell.headers, body=tell.body
            )
            assert json.loads(told.body)["connections"] == 1
            assert json.loads((await stream.next_event()).data) == {"text": "Hello Ann"}
        given = await request(node.base, token.url.removeprefix(node.base))
        assert json.loads(given.body)["token"].count(".") == 2

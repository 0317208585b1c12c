"""The commands on the landing page, as they stand there."""

from __future__ import annotations

import html
import json
import re
import sys

from tests.http.curl import Curl
from tests.support.eventsource import EventSource
from tests.support.http1 import request
from tests.support.node import Node
from tests.support.tokens import token

DEV = (sys.executable, "-m", "gateway", "dev", "--no-demo")


async def commands(node: Node) -> list[str]:
    page = (await request(node.base, "/")).body.decode()
    blocks = re.findall(r"<pre tabindex=\"0\"><code>(.*?)</code></pre>", page, re.DOTALL)
    return [html.unescape(block) for block in blocks]


async def test_the_commands_of_the_dev_page_work_as_they_are(redis_url: str, prefix: str) -> None:
    with Node(redis_url, prefix, command=DEV) as node:
        lines = await commands(node)
        assert redis_url in lines
        assert [line for line in lines if line.endswith(f"--redis-url {redis_url}")]
        listen, tell, given = [Curl(line) for line in lines if line.startswith("curl ")]
        async with EventSource(node.base, listen.url.removeprefix(node.base)) as stream:
            await stream.next_event()
            told = await request(
                node.base, tell.url.removeprefix(node.base), method=tell.method, headers=tell.headers, body=tell.body
            )
            assert json.loads(told.body)["connections"] == 1
            assert json.loads((await stream.next_event()).data) == {"text": "Hello Ann"}
        answer = await request(node.base, given.url.removeprefix(node.base))
        assert json.loads(answer.body)["token"].count(".") == 2


async def test_the_commands_in_production_work_with_the_tokens_that_they_name(redis_url: str, prefix: str) -> None:
    with Node(redis_url, prefix) as node:
        listen, publish = [Curl(line) for line in await commands(node)]
        path, mine = listen.url.removeprefix(node.base), {"Authorization": f"Bearer {token('me')}"}
        async with EventSource(node.base, path, headers=mine) as stream:
            await stream.next_event()
            headers = publish.headers | {"Authorization": f"Bearer {token('me', scope='publish')}"}
            url = publish.url.removeprefix(node.base)
            told = await request(node.base, url, method=publish.method, headers=headers, body=publish.body)
            assert told.status == 200
            assert json.loads((await stream.next_event()).data) == {"text": "Hello"}

"""The laboratory of ``sse-gateway dev``: processes are taken away and come back, at the wish of its own pages only."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests.support.commands import Running, alive, children
from tests.support.eventsource import EventSource
from tests.support.http1 import Exchange, request
from tests.support.waiting import until, wait_until

pytestmark = pytest.mark.xdist_group("dev-lab")  # one `dev` for all of them
JSON = {"Content-Type": "application/json"}


def port_of(dev: Running) -> int:
    wait_until(lambda: "Ctrl-C ends it." in dev.stdout or dev.process.poll() is not None, "the banner")
    return int(dev.stdout.partition("\n")[0].rpartition(":")[2])


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with Running.command("dev", "--port", "0") as running:
        yield f"http://127.0.0.1:{port_of(running)}"
        assert running.end() == 0
        assert "Traceback" not in running.stderr


async def lab(base: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((await request(base, "/dev/lab")).body)
    return found


async def act(base: str, headers: dict[str, str] | None = None, **what: str) -> Exchange:
    sent = {"Origin": base, **JSON, **(headers or {})}
    return await request(base, "/dev/lab", method="POST", headers=sent, body=json.dumps(what).encode())


async def test_a_killed_node_is_replaced_and_its_stream_goes_on_where_it_was(base: str) -> None:
    started = await request(base, "/dev/jobs", method="POST", headers=JSON, body=b'{"kind":"character"}')
    before = {node["name"]: node["id"] for node in (await lab(base))["nodes"]}
    async with EventSource(base, json.loads(started.body)["events"], reconnect=True) as stream:
        await stream.next_of_type("job.progress")
        for name in before:
            assert (await act(base, do="kill", node=name)).status == 202
            await until(partial(_is_another, base, name, before[name]), "another node")
        events = await stream.collect_until(lambda event: event.type == "job.completed")
    progress = [event.json()["progress"] for event in events if event.type == "job.progress"]
    assert len(set(progress)) == len(progress) == 19


async def _is_another(base: str, name: str, before: str) -> bool:
    try:
        nodes = (await lab(base))["nodes"]
    except (OSError, EOFError, KeyError):  # asked the very node that was killed, or one that is not ready yet
        return False
    (node,) = [each for each in nodes if each["name"] == name]
    return bool(node["state"] == "up" and node["id"] != before)


async def test_a_dead_worker_is_replaced_and_its_job_tried_again(base: str) -> None:
    pid = (await lab(base))["worker"]["pid"]
    started = await request(base, "/dev/jobs", method="POST", headers=JSON, body=b'{"kind":"media"}')
    async with EventSource(base, json.loads(started.body)["events"]) as stream:
        await stream.next_of_type("job.progress")
        os.kill(pid, signal.SIGKILL)

        async def replaced() -> bool:
            worker = (await lab(base))["worker"]
            return bool(worker["state"] == "up" and worker["pid"] != pid)

        await until(replaced, "another worker")
        assert (await stream.next_of_type("job.retrying")).json()["status"] == "pending"
        assert (await stream.next_of_type("job.completed")).json()["attempt"] == 2


async def test_a_frozen_broker_thaws_and_nothing_is_missing(base: str) -> None:
    started = await request(base, "/dev/jobs", method="POST", headers=JSON, body=b'{"kind":"media"}')
    async with EventSource(base, json.loads(started.body)["events"], reconnect=True) as stream:
        await stream.next_of_type("job.progress")
        assert (await act(base, do="freeze")).status == 202
        await until(lambda: _broker_is(base, "frozen"), "the frost")
        events = await stream.collect_until(lambda event: event.type == "job.completed")
    assert "stream.reset" not in [event.type for event in events]
    await until(lambda: _broker_is(base, "up"), "the thaw to be told")  # what it let through may have been quicker


async def _broker_is(base: str, state: str) -> bool:
    found = (await lab(base))["broker"]["state"]
    return bool(found == state)


async def test_a_lost_broker_comes_back_empty_and_listeners_are_told(base: str) -> None:
    async with EventSource(base, "/v1/events?channel=topic:lost", reconnect=True) as stream:
        await stream.next_of_type("stream.open")
        notice = {"channel": "topic:lost", "type": "hello", "data": 1}
        token = json.loads((await request(base, "/dev/token?scope=publish")).body)["token"]
        headers = {**JSON, "Authorization": f"Bearer {token}"}
        body = json.dumps(notice).encode()
        assert (await request(base, "/v1/events", method="POST", headers=headers, body=body)).status == 200
        await stream.next_of_type("hello")
        assert (await act(base, do="lose")).status == 202
        assert (await stream.next_of_type("stream.reset")).json()["channel"] == "topic:lost"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://localhost:3000"}, 403),  # may read streams, but not break anything
        ({"Origin": "null"}, 403),
        ({"Origin": "http://evil.example", "Host": "evil.example"}, 403),
        ({"Host": "evil.example"}, 403),
    ],
)
async def test_other_pages_cannot_press_the_buttons(base: str, headers: dict[str, str], status: int) -> None:
    assert (await act(base, headers, do="freeze")).status == status
    assert (await lab(base))["broker"]["state"] == "up"


async def test_a_call_without_an_origin_is_told_which_one_it_needs(base: str) -> None:
    answer = await request(base, "/dev/lab", method="POST", headers=JSON, body=b'{"do":"freeze"}')
    assert answer.status == 403
    assert f"Origin: {base}" in json.loads(answer.body)["error"]["message"]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"do":"explode"}', b'{"do":"kill"}', b'{"do":"kill","node":"9"}']
)
async def test_wishes_that_make_no_sense_are_refused(base: str, body: bytes) -> None:
    sent = {"Origin": base, **JSON}
    assert (await request(base, "/dev/lab", method="POST", headers=sent, body=body)).status == 400


async def test_a_broker_of_the_developers_own_is_left_alone(redis_url: str, prefix: str) -> None:
    with Running.command("dev", "--port", "0", "--redis-url", redis_url, REDIS_PREFIX=prefix) as dev:
        base = f"http://127.0.0.1:{port_of(dev)}"
        assert (await lab(base))["broker"]["state"] == "own"
        assert (await act(base, do="lose")).status == 400
        started = children(dev.process.pid)
        assert len(started) == 3
        dev.process.kill()
        wait_until(lambda: not [pid for pid in started if alive(pid)], "the end of the children")


async def test_where_others_can_reach_dev_nobody_takes_anything_away(redis_url: str, prefix: str) -> None:
    arguments = ("dev", "--port", "0", "--host", "0.0.0.0", "--redis-url", redis_url)
    with Running.command(*arguments, REDIS_PREFIX=prefix) as dev:
        base = f"http://127.0.0.1:{port_of(dev)}"
        assert (await request(base, "/dev/lab")).status == 404
        assert (await act(base, do="kill", node="1")).status == 404


async def test_a_node_that_cannot_start_ends_dev_with_its_sentence(redis_url: str) -> None:
    with Running.command("dev", "--port", "0", "--redis-url", redis_url, JWT_KEY_FILE="/nowhere") as dev:
        assert dev.wait() == 1
        assert "GATEWAY_JWT_KEY_FILE cannot be read" in dev.stderr
        assert "Traceback" not in dev.stderr

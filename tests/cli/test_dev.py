"""``sse-gateway dev``: what it prints works as it stands, and nothing is left of it when it has ended."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.demo.embedded_broker import BELOW, HOST, embedded_broker
from publisher import Publisher
from tests.support.commands import Running, alive, children
from tests.support.eventsource import EventSource
from tests.support.http1 import Exchange, request
from tests.support.ports import free_port
from tests.support.sse_parser import SseEvent, SseParser
from tests.support.ui_message import MessageReader
from tests.support.waiting import wait_until

JSON = {"Content-Type": "application/json"}


def start(*arguments: str, **settings: Any) -> Running:
    return Running.command("dev", "--port", "0", *arguments, **settings)


def base_of(dev: Running) -> str:
    """Where it runs, as its first line says."""
    found = re.search(r"runs at (http://\S+)\n", dev.wait_for("Ctrl-C ends it."))
    assert found is not None
    return found[1]


def printed_line(dev: Running, beginning: str) -> str:
    lines = [line.strip() for line in dev.stdout.splitlines() if line.strip().startswith(beginning)]
    assert len(lines) == 1, dev.stdout
    return lines[0]


@pytest.fixture(scope="module")
def dev() -> Iterator[Running]:
    """One for all tests that do not end it."""
    with start() as running:
        base_of(running)
        yield running
        assert running.end() == 0


def as_shell(line: str) -> subprocess.CompletedProcess[bytes]:
    """What a terminal would make of a copied line."""
    return subprocess.run(["bash", "-c", line], capture_output=True, timeout=40)


def json_of(exchange: Exchange) -> dict[str, str]:
    found: dict[str, str] = json.loads(exchange.body)
    return found


def statuses(events: list[SseEvent]) -> list[str]:
    return [event.json()["status"] for event in events if event.type.startswith("job.") and "status" in event.json()]


@pytest.mark.parametrize("time", ["first", "second"])
def test_the_copied_curl_line_shows_a_job_from_its_beginning_to_its_end(dev: Running, time: str) -> None:
    done = as_shell(printed_line(dev, "curl -N -L"))
    assert done.returncode == 0
    events = SseParser().feed(done.stdout)
    assert [event.type for event in events[:3]] == ["stream.open", "job.state", "job.started"]
    assert statuses(events[:2]) == ["pending"]
    progress = [event.json()["progress"] for event in events if event.type == "job.progress"]
    assert len(progress) == 20
    assert progress == sorted(progress)
    completed, closed = events[-2:]
    assert completed.type == "job.completed"
    assert completed.json()["result"]["imageUrl"].startswith("data:image/svg+xml;base64,")
    assert closed.type == "stream.close"


async def test_what_the_copied_publish_line_says_arrives_where_the_copied_curl_line_listens(dev: Running) -> None:
    address = re.search(r'"(http://[^"]+)"', printed_line(dev, 'curl -N "'))
    assert address is not None
    async with EventSource(base_of(dev), address[1].removeprefix(base_of(dev))) as stream:
        await stream.next_of_type("stream.open")
        line = printed_line(dev, "python -m gateway publish").replace("python", shlex.quote(sys.executable), 1)
        assert as_shell(line).returncode == 0
        event = await stream.next_event()
        assert (event.type, event.json()) == ("hello", {"text": "Hello"})


async def test_every_printed_page_is_there(dev: Running) -> None:
    pages = re.findall(r"^  http://[^/]+(/\S*)  ", dev.stdout, re.MULTILINE)
    assert pages[:6] == ["/", "/client", "/admin", "/demo", "/chat", "/dev/token?sub=me&scope=admin"]
    for page in pages:
        assert (await request(base_of(dev), page)).status == 200, page


async def test_a_worker_in_another_process_joins_by_the_printed_address(dev: Running) -> None:
    address = re.search(r"redis://\S+", dev.stdout)
    assert address is not None
    with Publisher.from_url(address[0]) as publisher:
        async with EventSource(base_of(dev), "/v1/clients/ann/events") as stream:
            await stream.next_of_type("stream.open")
            publisher.send("ann", "hello", 1)
            assert (await stream.next_event()).type == "hello"


async def test_a_minted_token_opens_its_subjects_jobs(dev: Running) -> None:
    base = base_of(dev)
    answer = json_of(await request(base, "/dev/token?sub=ann&ttl=60&channels=job:*&channels=topic:*"))
    headers = {"Authorization": f"Bearer {answer['token']}"}
    started = await request(base, "/dev/jobs", method="POST", headers={**headers, **JSON}, body=b'{"kind":"media"}')
    assert started.status == 201
    async with EventSource(base, "/v1/jobs/events", token=answer["token"]) as stream:
        state = await stream.next_of_type("job.state")
        assert state.json()["owner"] == "ann"
    assert (await request(base, f"/v1/jobs/{json_of(started)['job_id']}")).status == 404
    cancel = f"/v1/jobs/{json_of(started)['job_id']}/cancel"
    assert (await request(base, cancel, method="POST", headers=headers)).status == 200
    async with EventSource(base, json_of(started)["events"], token=answer["token"]) as stream:
        assert statuses(await stream.collect_until(lambda event: event.type == "stream.close"))[-1] == "cancelled"


async def test_tokens_are_not_for_pages_of_other_hosts(dev: Running) -> None:
    """A page that lets its own name point to this machine could read them."""
    assert (await request(base_of(dev), "/dev/token", headers={"Host": "evil.example.com"})).status == 403
    assert (await request(base_of(dev), "/dev/token", headers={"Host": "localhost:8000"})).status == 200


@pytest.mark.parametrize("query", ["scope=root", "ttl=soon", "ttl=0", "sub=", "sub=a%20b", "channels="])
async def test_a_token_that_makes_no_sense_is_refused(dev: Running, query: str) -> None:
    answer = await request(base_of(dev), f"/dev/token?{query}")
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (400, "bad_request")


async def test_a_generation_is_answered_and_streamed_in_its_own_words(dev: Running) -> None:
    base = base_of(dev)
    answer = await request(base, "/api/generation", method="POST", headers=JSON, body=b'{"prompt":"a cat"}')
    found = json.loads(answer.body)
    assert found["success"] is True
    path = f"/api/generation?sessionId={found['sessionId']}&providerId={found['providerId']}"
    async with EventSource(base, path) as stream:
        events = await stream.collect_until(lambda event: event.json()["status"] in ("succeeded", "failed"))
    assert events[0].json() == {"status": "started"}
    last = events[-1].json()
    assert last["status"] == "succeeded"
    assert [output[:11] for output in last["output"]] == ["data:image/"] * 2


async def test_a_queued_character_is_streamed_in_its_own_words(dev: Running) -> None:
    base = base_of(dev)
    answer = await request(base, "/api/v1/characters/queue", method="POST")
    job_id = json.loads(answer.body)["data"]["jobId"]
    async with EventSource(base, f"/api/v1/sse/jobs/character/{job_id}") as stream:
        events = await stream.collect_until(lambda event: event.json().get("status") == "completed")
    assert [event.json()["type"] for event in events[:2]] == ["connected", "initial_status"]


CHAT = {"role": "user", "parts": [{"type": "text", "text": "What is the weather in Bergen? Quickly!"}]}


async def test_a_chat_without_a_token_is_answered_and_found_again_by_its_cookie(dev: Running) -> None:
    """`useChat` follows the redirect; who has no cookies, such as curl, gets in by the ticket in its address."""
    base = base_of(dev)
    asked = json.dumps({"id": "dev-chat", "messages": [CHAT]}).encode()
    led = await request(base, "/api/chat", method="POST", headers=JSON, body=asked)
    place, cookie = led.headers["location"], led.headers["set-cookie"].partition(";")[0]
    assert led.status == 303 and "Path=/api/chat" in led.headers["set-cookie"]
    async with EventSource(base, place) as by_ticket:
        await by_ticket.wait_stopped()
    read = MessageReader().read(by_ticket.events)
    assert "9 degrees in Bergen" in read.text and read.ends[-1] == "[DONE]"
    assert [part["type"] for part in read.parts] == [
        "tool-input-available",
        "reasoning",
        "tool-output-available",
        "text",
    ]
    async with EventSource(base, place.partition("&ticket=")[0], headers={"Cookie": cookie}) as by_cookie:
        await by_cookie.wait_stopped()
    assert MessageReader().read(by_cookie.events).parts == read.parts
    again = await request(base, "/api/chat", method="POST", headers={**JSON, "Cookie": "sse_token=old"}, body=asked)
    assert again.status == 303  # a cookie of an earlier start counts for none


NO_QUESTIONS = (
    "[]",
    "{}",
    '{"id":"c"}',
    '{"id":"c","messages":[]}',
    '{"id":"c d","messages":[{}]}',
    '{"id":7,"messages":[{}]}',
)


@pytest.mark.parametrize("body", NO_QUESTIONS)
async def test_a_chat_that_makes_no_sense_is_told_what_is_missing(dev: Running, body: str) -> None:
    answer = await request(base_of(dev), "/api/chat", method="POST", headers=JSON, body=body.encode())
    assert answer.status == 400


async def test_a_task_names_its_files_and_may_be_asked_to_fail(dev: Running) -> None:
    base = base_of(dev)
    answer = await request(base, "/dev/jobs", method="POST", headers=JSON, body=b'{"kind":"task","fail":true}')
    async with EventSource(base, f"/api/v1/status/tasks/{json_of(answer)['job_id']}/stream") as stream:
        events = await stream.collect_until(lambda event: event.type in ("task_completed", "task_failed"))
    assert {event.json()["filename"] for event in events if event.type == "file_update"} == {
        "report.pdf",
        "figures.csv",
    }
    assert events[-1].json()["error"] == "This job was asked to fail halfway, and it did."


@pytest.mark.parametrize(
    ("path", "content_type", "body"),
    [
        ("/api/generation", "application/json", b"{}"),
        ("/api/generation", "application/json", b'{"prompt": ""}'),
        ("/api/generation", "application/json", b'["prompt"]'),
        ("/api/generation", "application/json", b"{"),
        ("/dev/watch", "application/x-www-form-urlencoded", b"kind=nothing"),
        ("/dev/watch", "application/x-www-form-urlencoded", b"kind=\xff"),
        ("/dev/jobs", "application/json", b'{"kind": []}'),
        ("/dev/jobs", "application/json", b'{"speed": 2}'),
    ],
)
async def test_a_job_that_makes_no_sense_is_refused(dev: Running, path: str, content_type: str, body: bytes) -> None:
    headers = {"Content-Type": content_type}
    answer = await request(base_of(dev), path, method="POST", headers=headers, body=body)
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (400, "bad_request")


async def test_a_form_that_is_larger_than_a_job_is_refused(dev: Running) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    body = b"kind=" + b"x" * 5000
    answer = await request(base_of(dev), "/dev/watch", method="POST", headers=headers, body=body)
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (413, "too_large")


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_signal_ends_everything_with_zero(number: int) -> None:
    with start() as dev:
        base = base_of(dev)
        started = children(dev.process.pid)
        assert len(started) == 4  # broker, two nodes, worker
        async with EventSource(base, "/v1/events?channel=topic:a") as stream:
            await stream.next_of_type("stream.open")
            assert dev.end(number) == 0
        assert not [pid for pid in started if alive(pid)]
        assert "Traceback" not in dev.stderr


def test_the_brokers_port_goes_with_the_nodes_unless_something_has_it() -> None:
    wanted = free_port()
    url = f"redis://{HOST}:{wanted}/0"
    with embedded_broker(wanted + BELOW) as broker, embedded_broker(wanted + BELOW) as second:
        assert (broker.url, second.url == url) == (url, False)


@pytest.mark.usefixtures("unmeasured")
def test_a_signal_while_it_starts_leaves_nothing_behind() -> None:
    with start() as dev:
        wait_until(lambda: children(dev.process.pid), "the broker")
        started = children(dev.process.pid)
        assert dev.end() == 0
        assert not [pid for pid in started if alive(pid)]


@pytest.mark.usefixtures("unmeasured")
def test_a_kill_takes_everything_along() -> None:
    with start() as dev:
        base_of(dev)
        started = children(dev.process.pid)
        dev.end(signal.SIGKILL)
        wait_until(lambda: not [pid for pid in started if alive(pid)], "the end of the children")


def test_without_dramatiq_there_is_no_worker_and_dev_says_so(redis_url: str, prefix: str) -> None:
    program = "import sys; sys.modules['dramatiq'] = None; from gateway.cli import main; sys.exit(main(sys.argv[1:]))"
    arguments = [sys.executable, "-c", program, "dev", "--port", "0", "--redis-url", redis_url]
    with Running(arguments, REDIS_PREFIX=prefix) as dev:
        base_of(dev)
        assert "pip install 'sse-gateway[broker]'" in dev.stderr
        assert children(dev.process.pid) == []


async def test_without_the_demo_there_is_no_worker_and_no_way_to_start_its_jobs(redis_url: str, prefix: str) -> None:
    with start("--no-demo", "--redis-url", redis_url, REDIS_PREFIX=prefix) as dev:
        base = base_of(dev)
        assert children(dev.process.pid) == []
        assert "/dev/watch" not in dev.stdout
        assert redis_url in dev.stdout
        assert (await request(base, "/dev/watch", method="POST")).status == 404
        assert (await request(base, "/dev/token")).status == 200


def test_where_anonymous_reading_is_off_the_printed_lines_bring_a_token() -> None:
    with start(ANONYMOUS="deny") as dev:
        base_of(dev)
        done = as_shell(printed_line(dev, "curl -N -L"))
        assert statuses(SseParser().feed(done.stdout))[-1] == "completed"

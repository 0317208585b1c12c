"""``sse-gateway tail`` follows a stream to its end, over a node that is killed, and says why where it cannot."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from publisher import Publisher
from tests.support.broker import Broker
from tests.support.commands import GATEWAY, Running, environment, run, run_on_full_disk
from tests.support.node import ROOT, Node
from tests.support.ports import HOST, free_port
from tests.support.tls_front import TlsFront
from tests.support.tokens import SECRET, token
from tests.support.waiting import wait_until


@pytest.fixture
def publisher(redis_url: str, prefix: str) -> Iterator[Publisher]:
    with Publisher.from_url(redis_url, prefix=prefix) as found:
        yield found


@pytest.fixture
def node(start_node: Callable[..., Node]) -> Node:
    return start_node(ANONYMOUS="read", RETRY_MS="50", DRAIN_S="0.2")


def test_a_job_is_followed_to_its_end(node: Node, publisher: Publisher) -> None:
    with publisher.job("j/1", kind="test") as job:
        with Running.command("--gateway", node.base, "tail", "job:j/1") as tail:
            tail.wait_for("job.state")
            job.progress(50, message="Hälfte")
            job.emit("token", {"text": "\u009b31m"})
            job.complete(result=[1])
            assert tail.wait() == 0
            lines = tail.stdout.splitlines()
            assert [line.split(" ")[0] for line in lines] == [*["job.state", "job.progress", "token", "job.completed"]]
            assert '"message":"Hälfte"' in lines[1]
            assert lines[2] == 'token {"text":"�31m"}', "no event may steer the terminal"


def test_a_job_that_has_ended_already_ends_the_command(node: Node, publisher: Publisher) -> None:
    with publisher.job("j", kind="test"):
        pass
    done = run("tail", f"{node.base}/v1/jobs/j/events", "--json")
    assert done.returncode == 0
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["type"] for event in events] == ["stream.open", "job.state", "stream.close"]
    again = run("tail", "job:j", "--gateway", node.base, "--last-event-id", events[1]["id"])
    assert (again.returncode, again.stdout) == (0, "")


def test_a_killed_node_costs_no_event(node: Node, publisher: Publisher) -> None:
    with Running.command("tail", "topic:a", "--gateway", node.base, "--json") as tail:
        tail.wait_for("stream.open")
        publisher.publish("topic:a", "n", 1)
        tail.wait_for('"data": 1')
        node.kill()
        publisher.publish("topic:a", "n", 2)
        node.start()
        publisher.publish("topic:a", "n", 3)
        tail.wait_for('"data": 3')
        events = [json.loads(line) for line in tail.stdout.splitlines()]
        assert [event["data"] for event in events if event["type"] == "n"] == [1, 2, 3]
        assert "Connecting again in" in tail.stderr
        assert tail.end(signal.SIGINT) == 130
        assert "Traceback" not in tail.stderr


def test_a_token_opens_what_is_ones_own(node: Node, publisher: Publisher) -> None:
    publisher.create_job("mine", kind="test", owner="ann")
    with Running.command("tail", "user:ann", "--gateway", node.base, "--token", token("ann")) as tail:
        tail.wait_for("job.state")
    refused = run("tail", "user:ann", "--gateway", node.base)
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"sse-gateway: {node.base} answers 401: This needs a token")


def test_an_expired_token_is_told_and_ends_the_command(node: Node) -> None:
    done = run("tail", "user:ann", "--gateway", node.base, "--token", token("ann", ttl_s=2))
    assert done.returncode == 1
    assert done.stderr == "sse-gateway: The token has expired; connect again with a new one.\n"


def test_a_job_that_is_not_there_is_told(start_node: Callable[..., Node]) -> None:
    node = start_node(ANONYMOUS="read", JOB_WAIT_S="0.1")
    done = run("tail", "job:nowhere", "--gateway", node.base)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"sse-gateway: {node.base} answers 404: There is no such job. One of somebody else is answered alike: "
        "ask with its owner's token, or one with the scope admin.\n"
    )


def test_what_is_no_stream_is_told(node: Node) -> None:
    done = run("tail", f"{node.base}/livez")
    assert done.returncode == 1
    assert "which is no event stream" in done.stderr


def test_a_node_that_does_not_run_is_told() -> None:
    port = free_port()
    done = run("tail", "broadcast", "--gateway", f"http://127.0.0.1:{port}")
    assert done.returncode == 1
    assert (
        done.stderr == f"sse-gateway: http://127.0.0.1:{port} cannot be reached (connection refused); is the node up?\n"
    )


def test_several_channels_are_followed_from_their_history_on(node: Node, publisher: Publisher) -> None:
    for n in range(3):
        publisher.publish("topic:a", "n", n)
    publisher.publish("topic:b", "n", "b")
    command = ["tail", "topic:a", "topic:b", "topic:a", "-n", "2", "--gateway", node.base]
    with Running.command(*command, LOG_LEVEL="info") as tail:
        tail.wait_for('"b"')
        publisher.publish("topic:b", "n", "new")
        tail.wait_for("new")
        assert sorted(tail.stdout.splitlines()) == ['n "b"', 'n "new"', "n 1", "n 2"]


def test_a_failed_job_gives_an_exit_code(node: Node, publisher: Publisher) -> None:
    publisher.job("bad", kind="test").fail("broke")
    done = run("tail", "job:bad", "--gateway", node.base)
    assert (done.returncode, done.stderr) == (1, "")
    assert '"error":{"message":"broke"' in done.stdout.replace(" ", "")


def test_the_scheme_is_named_where_it_is_the_mistake(node: Node) -> None:
    done = run("tail", "broadcast", "--gateway", node.base.replace("http:", "https:"))
    assert "if it speaks plain HTTP, write http://." in done.stderr
    with Broker() as broker, TlsFront(broker.port) as front:
        done = run("tail", "broadcast", "--gateway", f"http://{HOST}:{front.port}")
    assert "cannot be reached" in done.stderr
    assert done.stderr.count("\n") == 1


def test_output_that_cannot_be_written_is_told(node: Node, publisher: Publisher) -> None:
    publisher.publish("topic:a", "n", 1)
    done = run_on_full_disk("tail", "topic:a", "-n", "1", "--gateway", node.base, JWT_KEY=SECRET)
    assert done.returncode == 1
    assert done.stderr == "sse-gateway: The output cannot be written: No space left on device.\n"


def test_a_terminal_without_the_characters_gets_others(node: Node, publisher: Publisher) -> None:
    publisher.publish("topic:a", "n", "Hälfte █")
    command = [*GATEWAY, "tail", "topic:a", "-n", "1", "--gateway", node.base]
    with Running(command, extra={"PYTHONIOENCODING": "ascii"}) as tail:
        tail.wait_for("n ")
        assert "H\\xe4lfte \\u2588" in tail.stdout


def test_on_a_terminal_a_job_is_a_bar(node: Node, publisher: Publisher) -> None:
    screen, terminal = pty.openpty()
    with publisher.job("bar", kind="test") as job:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "tail", "job:bar", "--gateway", node.base],
            cwd=ROOT,
            env={**environment(), "COLUMNS": "100"},
            stdin=subprocess.DEVNULL,
            stdout=terminal,
            stderr=terminal,
        )
        os.close(terminal)
        shown = b""
        try:
            while b"active" not in shown:
                shown += os.read(screen, 4096)
            job.progress(50, stage="render", message="Painting", current=5, total=10)
            while b"Painting" not in shown:
                shown += os.read(screen, 4096)
            job.emit("note", "hello")
            while b"note" not in shown:
                shown += os.read(screen, 4096)
            job.complete(result={"url": "/a.png"})
            wait_until(lambda: process.poll() is not None, "the end of the command")
            shown += os.read(screen, 4096)
        finally:
            process.kill()
            process.wait()
            os.close(screen)
    text = shown.decode()
    assert f" 50 % {'█' * 12}{'░' * 12} active 5/10 render: Painting" in text
    assert 'note "hello"\r\n' in text
    assert "100 % " in text.rpartition("\r\x1b[K")[2]
    assert text.endswith('{"url": "/a.png"}\r\n')
    assert "stream.close" not in text

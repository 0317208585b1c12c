"""``sse-gateway bench``: a load test of real nodes, which counts every event on every stream."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from gateway import cli
from gateway.bench import text
from tests.support.commands import Running, run
from tests.support.node import Node
from tests.support.tokens import SECRET
from tests.support.waiting import wait_until

StartNode = Callable[..., Node]


@pytest.fixture
def bench(redis_url: str, prefix: str, tmp_path: Path) -> Callable[..., tuple[int, dict[str, Any], str]]:
    """``bench(node, "--connections", "20", key=False)``: exit code, figures, what was printed."""

    def start(*arguments: object, key: bool = True) -> tuple[int, dict[str, Any], str]:
        file = tmp_path / "figures.json"
        nodes = [each for each in arguments if isinstance(each, Node)]
        words = [str(each) for each in arguments if not isinstance(each, Node)]
        urls = [word for node in nodes for word in ("--url", node.base)]
        settings = {"REDIS_URL": redis_url, "REDIS_PREFIX": prefix, **({"JWT_KEY": SECRET} if key else {})}
        done = run("bench", *urls, *words, "--json", str(file), **settings)
        figures = json.loads(file.read_text()) if file.exists() else {}
        return done.returncode, figures, done.stdout + done.stderr

    return start


def keys(redis_url: str, prefix: str) -> list[str]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        return [str(key) for key in client.scan_iter(f"{prefix}:*bench*")]


def test_every_event_is_counted_on_every_stream_and_nothing_is_left_behind(
    start_node: StartNode, bench: Callable[..., Any], redis_url: str, prefix: str
) -> None:
    """Sixty streams are more than one user may have: they come as several."""
    node = start_node()
    code, figures, printed = bench(
        node, "--connections", 60, "--channels", 3, "--rate", 90, "--seconds", 1, "--ramp", 400
    )
    assert (code, figures["ok"]) == (0, True), printed
    assert figures["streams"]["opened"] == figures["streams"]["open_at_the_end"] == 60
    assert figures["events"]["published"] == 90
    assert figures["deliveries"]["received"] == figures["deliveries"]["expected"] == 90 * 20
    (seen,) = figures["nodes"]
    assert seen["connections"] == [0, 60, 60]
    assert seen["memory_bytes"][1] > 2**20
    assert seen["cpu_us_per_delivery"] > 0
    latency = figures["latency_ms"]
    assert 0 < latency["p50"] <= latency["p99"] <= latency["p99.9"] <= latency["max"]
    assert "deliveries  1,800 of 1,800" in printed
    assert "– CPU per delivery (fewer than 20,000 deliveries do not tell)" in printed
    assert keys(redis_url, prefix) == []


def test_the_death_of_a_node_loses_nothing(start_node: StartNode, redis_url: str, prefix: str, tmp_path: Path) -> None:
    staying, dying = start_node(RETRY_MS="500"), start_node(RETRY_MS="500")
    file = tmp_path / "figures.json"
    words = ["--connections", "20", "--rate", "75", "--seconds", "2", "--json", str(file), "--redis-url", redis_url]
    with Running.command(
        "bench", "--url", staying.base, "--url", dying.base, *words, JWT_KEY=SECRET, REDIS_PREFIX=prefix
    ) as command:
        wait_until(lambda: keys(redis_url, prefix) or None, "the first event")
        dying.kill()
        assert command.wait() == 0, command.stdout + command.stderr
    figures = json.loads(file.read_text())
    assert sum(figures["streams"]["ended"].values()) == figures["streams"]["reopened"] == 10
    deliveries = figures["deliveries"]
    assert deliveries["received"] == deliveries["expected"] == 150 * 20
    assert (deliveries["lost"], deliveries["repeated"], deliveries["out_of_order"]) == (0, 0, 0)


def test_events_may_go_through_a_node(start_node: StartNode, bench: Callable[..., Any]) -> None:
    node = start_node()
    code, figures, printed = bench(node, "--publish-url", node.base, "--connections", 5, "--rate", 40, "--seconds", 0.5)
    deliveries = figures["deliveries"]
    assert code == 0 and deliveries["received"] == deliveries["expected"] > 0, printed


def test_refused_streams_are_counted_by_reason_with_the_remedy(
    start_node: StartNode, bench: Callable[..., Any]
) -> None:
    node = start_node(ANONYMOUS="read", MAX_CONNECTIONS_PER_USER=5)
    code, figures, printed = bench(node, "--connections", 8, "--rate", 20, "--seconds", 0.3, key=False)
    assert code == 0
    assert (figures["streams"]["opened"], figures["streams"]["refused"]) == (5, {"user_limit": 3})
    assert "GATEWAY_MAX_CONNECTIONS_PER_USER=0 make run" in printed


def test_a_node_that_wants_a_token_is_no_success(start_node: StartNode, bench: Callable[..., Any]) -> None:
    code, figures, printed = bench(start_node(), "--connections", 2, "--seconds", 0.3, key=False)
    assert (code, figures["streams"]["refused"]) == (1, {"status 401": 2})
    assert "GATEWAY_JWT_KEY" in printed


def test_nothing_arriving_is_no_success(start_node: StartNode, bench: Callable[..., Any]) -> None:
    """The node listens under another prefix."""
    code, _, printed = bench(start_node(REDIS_PREFIX="other"), "--connections", 2, "--seconds", 0.3)
    assert code == 1
    assert "Nothing arrived: is --redis-url (and GATEWAY_REDIS_PREFIX) what the nodes use?" in printed


def test_ctrl_c_ends_it_with_the_figures_so_far(start_node: StartNode, redis_url: str, prefix: str) -> None:
    node = start_node(ANONYMOUS="read")
    with Running.command(
        "bench", "--url", node.base, "--connections", "4", "--rate", "50", "--seconds", "600", "--json", "-",
        REDIS_URL=redis_url, REDIS_PREFIX=prefix,
    ) as command:  # fmt: skip
        wait_until(lambda: keys(redis_url, prefix) or None, "the first event")
        assert command.end(signal.SIGINT) == 130
        figures = json.loads(command.stdout)
        assert command.stderr == ""
    assert figures["interrupted"] is True
    published = figures["events"]["published"]
    assert 0 < published < 5000
    assert figures["deliveries"]["received"] == published * 4
    assert keys(redis_url, prefix) == []


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--connections", "0"], 2, "must be a whole number from 1 to 200000"),
        (["--rate", "fast"], 2, "must be a number from 0.01 to 100000"),
        (["--payload-bytes", "10"], 2, "must be a whole number from 64 to 262144"),
        (["--url", "localhost"], 2, "must be an http:// or https:// URL"),
        (["--connections", "5", "--channels", "6"], 2, "nobody would hear some"),
        (["--json", "/nowhere/at/all.json"], 2, "cannot be written"),
        (["--token", "a b"], 2, "--token holds characters that no token has"),
        (["--url", "http://192.0.2.1:8000"], 1, "192.0.2.1 is not this machine"),
        (["--redis-url", "redis://192.0.2.1:6379/0"], 1, "confirm that with --remote"),
        (["--publish-url", "http://192.0.2.1"], 1, "192.0.2.1 is not this machine"),
        (["--url", "http://no-such-host.invalid"], 1, "is not known here"),
    ],
)
def test_bad_input_is_one_sentence(
    arguments: list[str], code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        found = cli.main(["bench", *arguments])
    except SystemExit as error:
        found = int(str(error.code))
    captured = capsys.readouterr()
    assert (found, captured.out) == (code, "")
    assert sentence in captured.err
    assert len(captured.err.splitlines()) == 1


def test_a_node_that_is_not_there_is_told_in_one_sentence(redis_url: str) -> None:
    done = run("bench", "--url", "http://127.0.0.1:9", "--connections", "2", "--redis-url", redis_url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == ("sse-gateway: http://127.0.0.1:9 cannot be reached (connection refused); is the node up?\n")


def test_a_broker_that_is_not_there_is_told_without_a_hint_for_programs(start_node: StartNode) -> None:
    done = run(
        "bench", "--url", start_node().base, "--connections", "2", "--redis-url", "redis://127.0.0.1:9/0",
        "--seconds", "0.3", JWT_KEY=SECRET,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Publishing had to stop" in done.stdout
    assert "on_error" not in done.stdout + done.stderr


def test_the_cpu_per_delivery_is_shown_where_enough_were_made() -> None:
    node = {"memory_bytes": [None] * 3, "bytes_per_connection": None, "cpu_share": 0.5, "cpu_us_per_delivery": 11.64}
    assert text.node_line({**node, "deliveries": 20_000}) == "50% of a core, 11.6 µs CPU per delivery"
    assert "11.6" not in text.node_line({**node, "deliveries": 19_999})

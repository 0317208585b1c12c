"""``sse-gateway publish``: one event, or lines from stdin, of which the bad ones are named."""

from __future__ import annotations

import json

import orjson

from publisher import Publisher
from tests.support.broker import Broker
from tests.support.commands import Running, run
from tests.support.ports import refusing_port
from tests.support.publishers import Reader
from tests.support.waiting import wait_until


def line(channel: str, type: str, data: object, **more: object) -> str:
    return json.dumps({"channel": channel, "type": type, "data": data, **more})


def stored(reader: Reader, channel: str) -> list[object]:
    return [orjson.loads(event.data) for event in reader.log(channel)]


def test_an_event_is_published_and_its_receipt_printed(redis_url: str, prefix: str, reader: Reader) -> None:
    first = run("publish", "topic:a", "hello", '{"text": "Grüße"}', "--redis-url", redis_url, REDIS_PREFIX=prefix)
    second = run("publish", "topic:a", "hello", "null", REDIS_URL=redis_url, REDIS_PREFIX=prefix)
    assert (first.returncode, first.stderr) == (0, "")
    receipts = [json.loads(done.stdout) for done in (first, second)]
    assert [(receipt["channel"], receipt["seq"]) for receipt in receipts] == [("topic:a", 1), ("topic:a", 2)]
    assert receipts[0]["epoch"] == receipts[1]["epoch"]
    assert stored(reader, "topic:a") == [{"text": "Grüße"}, None]


def test_an_own_id_publishes_once(redis_url: str, prefix: str, reader: Reader) -> None:
    given = ["publish", "topic:a", "hello", "1", "--id", "own", "--redis-url", redis_url]
    assert run(*given, REDIS_PREFIX=prefix).stdout == run(*given, REDIS_PREFIX=prefix).stdout
    assert stored(reader, "topic:a") == [1]


def test_lines_are_published_in_order_and_bad_ones_named(redis_url: str, prefix: str, reader: Reader) -> None:
    with Publisher.from_url(redis_url, prefix=prefix) as publisher, publisher.job("over", kind="test"):
        pass
    lines = [
        line("topic:a", "t", 1),
        "",
        "{nonsense",
        line("topic:a", "t", 2, id="own"),
        "[1]",
        line("topic:a", "t t", 0),
        line("nowhere", "t", 0),
        line("topic:a", "t", "x" * 400),
        line("topic:a", "t", 0, colour="red"),
        json.dumps({"channel": "topic:a"}),
        line("job:over", "t", 0),
        line("topic:a", "t", "y" * 10_000),
        line("topic:a", "t", 3),
        line("topic:a", "t", [2**64]),
    ]
    settings = {"REDIS_URL": redis_url, "REDIS_PREFIX": prefix, "MAX_EVENT_BYTES": 256}
    done = run("publish", "-", stdin="\n".join(lines), **settings)
    assert done.returncode == 1
    *named, summary = done.stderr.splitlines()
    sentences = {
        3: "It is not JSON",
        5: "It is not a JSON object",
        6: "An event type must have",
        7: "A channel is client:ID",
        8: "402 bytes; at most 256",
        9: "colour unknown",
        10: "type, data missing",
        11: "The job over is completed",
        12: "longer than any event may be",
        14: "an integer beyond 64 bits",
    }
    assert sorted(each.partition(":")[0] for each in named) == sorted(f"line {number}" for number in sentences)
    for number, sentence in sentences.items():
        assert any(each.startswith(f"line {number}: ") and sentence in each for each in named), named
    assert not any("Event 0" in each for each in named)
    assert summary == "3 events published, 10 lines refused."
    assert stored(reader, "topic:a") == [1, 2, 3]


def test_many_lines_are_published_without_loss(redis_url: str, prefix: str, reader: Reader) -> None:
    lines = "\n".join(line(f"topic:{number % 3}", "t", number) for number in range(1500))
    done = run("publish", "-", stdin=lines, REDIS_URL=redis_url, REDIS_PREFIX=prefix)
    assert (done.returncode, done.stderr) == (0, "1500 events published, 0 lines refused.\n")
    assert [stored(reader, f"topic:{number}") for number in range(3)] == [list(range(n, 1500, 3)) for n in range(3)]


def test_a_line_goes_out_as_soon_as_it_is_written(redis_url: str, prefix: str, reader: Reader) -> None:
    """``tail -f | sse-gateway publish -`` must not wait for a full batch."""
    with Running.command("publish", "-", keep_stdin=True, REDIS_URL=redis_url, REDIS_PREFIX=prefix) as command:
        command.send(line("topic:a", "t", 1))
        wait_until(lambda: stored(reader, "topic:a") == [1], "the event")
        assert command.process.poll() is None
        command.tell("")
        assert command.wait() == 0


def test_without_redis_an_event_is_refused_with_the_remedy() -> None:
    with refusing_port() as port:
        done = run("publish", "topic:a", "t", "1", "--redis-url", f"redis://:hush@127.0.0.1:{port}/0")
    assert done.returncode == 1
    assert "nothing listens there (connection refused). Start the server" in done.stderr
    assert "hush" not in done.stderr and "on_error" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_where_redis_goes_away_the_line_to_go_on_from_is_named(own_broker: Broker, prefix: str) -> None:
    reader = Reader(own_broker.url, prefix)
    with Running.command("publish", "-", keep_stdin=True, REDIS_URL=own_broker.url, REDIS_PREFIX=prefix) as command:
        command.send(line("topic:a", "t", 1))
        wait_until(lambda: stored(reader, "topic:a") == [1], "the first event")
        reader.close()
        own_broker.kill()
        command.send("")
        command.send(line("topic:a", "t", 2))
        assert command.wait() == 1
        assert "1 event published so far; send the lines from 3 on again" in command.stderr
        assert command.stderr.count("\n") == 1

"""Log lines name their action, keep secrets and line breaks out, and come in bounded numbers."""

from __future__ import annotations

import io
import json
import logging
import sys

import pytest

from gateway.logs.log import Log
from gateway.logs.output import FLOOD_LINES, FLOOD_S, MAX_MESSAGE, BoundedHandler, JsonFormatter, TextFormatter
from gateway.logs.records import MAX_VALUE, Line
from tests.support.tokens import token


def record(
    action: str, *, words: object = "", level: int = logging.INFO, created: float = 0.0, **fields: object
) -> logging.LogRecord:
    """As the node's own :class:`Log` makes it."""
    made = logging.LogRecord("gateway.test", level, __file__, 1, Line(action, fields, words), None, None)
    made.created, made.msecs = created, created % 1 * 1000
    return made


def test_a_line_of_text_begins_with_time_level_and_action() -> None:
    assert TextFormatter().format(record("stream.opened", connection="x", words="Words, 2 of them")) == (
        "1970-01-01T00:00:00.000Z info    stream.opened connection=x Words, 2 of them"
    )


def test_a_line_of_json_is_one_object_with_the_fields_as_keys() -> None:
    fields = {"reason": "grün\n", "n": 7, "s": 1.3, "b": True, "none": None}
    line = JsonFormatter().format(
        record("redis.lost", **fields, words=ValueError("100 % of it"), level=logging.WARNING, created=1.5)
    )
    assert json.loads(line) == {
        "time": "1970-01-01T00:00:01.500Z",
        "level": "warning",
        "logger": "gateway.test",
        "action": "redis.lost",
        "reason": "grün\\n",
        "n": 7,
        "s": 1.3,
        "b": True,
        "none": None,
        "message": "100 % of it",
    }
    assert "\n" not in line


def test_no_value_passes_for_a_field() -> None:
    line = json.loads(JsonFormatter().format(record("x.y", reason="a level=error", words="action=z.z id=1")))
    assert line.keys() == {"time", "level", "logger", "action", "reason", "message"}
    assert (line["level"], line["action"], line["reason"]) == ("info", "x.y", "a level=error")
    assert line["message"] == "action=z.z id=1"


@pytest.mark.parametrize(
    ("logger", "action"),
    [
        ("uvicorn.error", "http.message"),
        ("asyncio", "loop.message"),
        ("publisher", "publisher.message"),
        ("py.warnings", "python.warning"),
        ("redis.connection", "library.message"),
    ],
)
def test_a_line_of_a_library_has_an_action_too(logger: str, action: str) -> None:
    foreign = logging.LogRecord(logger, logging.WARNING, __file__, 1, "Redis is %s.", ("away",), None)
    line = json.loads(JsonFormatter().format(foreign))
    assert (line["action"], line["message"]) == (action, "Redis is away.")


def test_nothing_that_looks_like_a_token_is_written() -> None:
    secret = token("ann")
    try:
        raise ValueError(f"bad {secret}")
    except ValueError:
        failed = logging.LogRecord("x", logging.ERROR, __file__, 1, f"token={secret}&x=1", (), sys.exc_info())
    for formatter in (TextFormatter(), JsonFormatter()):
        line = formatter.format(failed)
        assert secret[:12] not in line
        assert secret[-12:] not in line
        assert "token=(token)&x=1" in line
        assert "ValueError" in line


def test_no_query_string_and_no_password_of_a_url_is_written() -> None:
    for formatter in (TextFormatter(), JsonFormatter()):
        line = formatter.format(record("x.y", url="redis://ann:secret@h:1/0", words="GET /v1/events?ticket=abc&x=%20y"))
        assert "secret" not in line and "abc" not in line
        assert "redis://(credentials)@h:1/0" in line and "GET /v1/events?(query)" in line


def test_nobody_can_forge_a_line_or_steer_a_terminal() -> None:
    line = TextFormatter().format(record("x.y", id="a\n1970 error\r\x1b[2J\u2028"))
    assert line.endswith("x.y id=a\\n1970 error\\r\\x1b[2J\\u2028")


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_a_line_has_a_bound(formatter: logging.Formatter) -> None:
    assert len(formatter.format(record("x.y", words="x" * 100_000))) < MAX_MESSAGE + 200
    assert len(formatter.format(record("x.y", id="x" * 100_000))) < MAX_VALUE + 200


def test_a_flood_of_one_warning_is_cut_and_counted() -> None:
    written = io.StringIO()
    handler = BoundedHandler(written)
    handler.setFormatter(logging.Formatter("%(message)s"))

    def lines(action: str, at: float, times: int = 1, level: int = logging.WARNING) -> list[str]:
        written.truncate(written.seek(0))
        for number in range(times):
            handler.handle(record(action, words=number, level=level, created=at))
        return written.getvalue().splitlines()

    assert len(lines("a.a", 100, FLOOD_LINES + 5)) == FLOOD_LINES
    assert lines("b.b", 101) == ["b.b 0"]
    assert lines("a.a", 101, level=logging.INFO) == ["a.a 0"]
    assert lines("c.c", 102 + FLOOD_S, level=logging.INFO) == ["log.suppressed of=a.a lines=5", "c.c 0"]
    assert len(lines("a.a", 103 + FLOOD_S, FLOOD_LINES + 7)) == FLOOD_LINES
    written.truncate(written.seek(0))
    handler.close()
    assert written.getvalue() == "log.suppressed of=a.a lines=7\n"


def test_what_is_not_written_is_not_made_into_text(caplog: pytest.LogCaptureFixture) -> None:
    """Streams open and close by the thousand; below the level their lines cost next to nothing."""

    class Dear:
        def __str__(self) -> str:
            raise AssertionError("made into text")

    with caplog.at_level(logging.INFO, "gateway.test"):
        Log("gateway.test").debug("stream.opened", connection=Dear(), words=Dear())
        Log("gateway.test").at(logging.INFO, "redis.lost", reason="closed")
    assert [found.getMessage() for found in caplog.records] == ["redis.lost reason=closed"]
    assert caplog.records[0].filename == "test_logs.py"

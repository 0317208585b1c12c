"""Log lines name their action, keep secrets and line breaks out, and come in bounded numbers."""

from __future__ import annotations

import json
import logging
import sys

from gateway.logs import FLOOD_LINES, FLOOD_S, MAX_MESSAGE, FloodFilter, JsonFormatter, TextFormatter
from tests.support.tokens import token


def record(message: str, *args: object, level: int = logging.INFO, created: float = 0.0) -> logging.LogRecord:
    made = logging.LogRecord("gateway.test", level, __file__, 1, message, args, None)
    made.created, made.msecs = created, created % 1 * 1000
    return made


def test_a_line_of_text_begins_with_time_level_and_action() -> None:
    assert TextFormatter().format(record("stream.open connection=%s", "x")) == (
        "1970-01-01T00:00:00.000Z info    stream.open connection=x"
    )


def test_a_line_of_json_is_one_object() -> None:
    line = JsonFormatter().format(record("redis.down reason=%s", "grün\n", level=logging.WARNING, created=1.5))
    assert json.loads(line) == {
        "time": "1970-01-01T00:00:01.500Z",
        "level": "warning",
        "logger": "gateway.test",
        "action": "redis.down",
        "message": "reason=grün\\n",
    }
    assert "\n" not in line


def test_a_message_without_action_goes_by_its_logger() -> None:
    assert json.loads(JsonFormatter().format(record("Redis is away.")))["action"] == "gateway.test"


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


def test_nobody_can_forge_a_line_or_steer_a_terminal() -> None:
    line = TextFormatter().format(record("x.y id=%s", "a\n1970 error\r\x1b[2J\u2028"))
    assert line.endswith("x.y id=a\\n1970 error\\r\\x1b[2J\\u2028")


def test_a_line_has_a_bound() -> None:
    assert len(TextFormatter().format(record("x" * 100_000))) < MAX_MESSAGE + 100


def test_a_flood_of_one_warning_is_cut_and_counted() -> None:
    flood = FloodFilter()

    def passed(message: str, at: float, level: int = logging.WARNING) -> str | None:
        line = record(message, level=level, created=at)
        return line.getMessage() if flood.filter(line) else None

    assert [passed("a", 1) for _ in range(FLOOD_LINES + 5)].count(None) == 5
    assert passed("b", 1) == "b"
    assert passed("a", 1, logging.INFO) == "a"
    assert passed("a", 2 + FLOOD_S) == "a (and 5 more like it)"
    assert passed("a", 2 + FLOOD_S) == "a"

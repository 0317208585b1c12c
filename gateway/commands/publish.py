"""``publish``: one event from the command line, or many from stdin."""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import Final

import orjson

from gateway.commands import common
from gateway.commands.jsonlines import LineSplitter
from gateway.commands.line_feed import LineFeed
from publisher import Publisher, PublisherError
from publisher.core.reports import for_users
from publisher.jsontext import check_integers

NAME = "publish"
SUMMARY = "publish one event, or a stream of them from stdin"
DESCRIPTION = """\
Publish one event and print its receipt, or with - read events from stdin, one JSON object per line:
{"channel": …, "type": …, "data": …} and perhaps "id". A bad line is named by its number, nothing is sent for
it, and the exit code is 1 at the end."""
EXAMPLES = """\
  sse-gateway publish client:user-123 notification '{"message": "Hello"}'
  sse-gateway publish broadcast maintenance '{"minutes": 5}' --id maintenance-7
  sse-gateway publish topic:menu changed @menu.json
  tail -f events.jsonl | sse-gateway publish -"""

OPTIONS: Final = ("--json",)

READ_BYTES: Final = 65_536
SHOW_S: Final = 0.1
MAX_DATA: Final = 64 * 1024 * 1024


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("channel", metavar="CHANNEL", help="client:ID, topic:NAME, job:ID, broadcast; or - for stdin")
    parser.add_argument("type", metavar="TYPE", nargs="?", help="the event's type, such as notification")
    parser.add_argument(
        "data", metavar="JSON", nargs="?", help="the event's data, any JSON value; @FILE or - reads it from there"
    )
    parser.add_argument("--id", help="an id of your own: a second event with it within 5 minutes is not published")


def run(given: argparse.Namespace) -> int:
    settings = common.settings(given)
    from_stdin = given.channel == "-"
    if from_stdin and (given.type is not None or given.id is not None):
        raise common.CommandError("With - everything comes from stdin; leave TYPE, JSON and --id out.", 2)
    if not from_stdin and given.data is None:
        raise common.CommandError("An event needs CHANNEL, TYPE and JSON; see sse-gateway publish --help.", 2)
    try:
        with Publisher.from_url(
            settings.redis_url, prefix=settings.redis_prefix, max_event_bytes=settings.max_event_bytes
        ) as publisher:
            if from_stdin:
                return _many(publisher, settings.max_event_bytes)
            return _one(publisher, given)
    except PublisherError as error:
        raise common.CommandError(_why(error, settings.redis_url)) from None
    except ValueError as error:
        raise common.CommandError(for_users(error), 2) from None


def _why(error: PublisherError, url: str) -> str:
    from gateway.commands import redis_trouble
    from publisher.redis.errors import ERRORS

    cause = error.__cause__
    return redis_trouble.sentence(cause, url) if isinstance(cause, ERRORS) else for_users(error)


def _one(publisher: Publisher, given: argparse.Namespace) -> int:
    text = _data(given.data)
    check_integers(text, "data")
    try:
        data = orjson.loads(text)
    except ValueError as error:
        raise common.CommandError(f"The data is not JSON ({error}); text needs quotes: '\"Hello\"'.", 2) from None
    receipt = publisher.publish(given.channel, given.type, data, id=given.id)
    assert receipt is not None  # only a publisher that buffers has none
    print(orjson.dumps(receipt._asdict()).decode())
    return 0


def _data(given: str) -> bytes:
    """What stands in the argument, in the file it names or on stdin; nothing larger than an event may ever be."""
    try:
        if given == "-":
            return sys.stdin.buffer.read(MAX_DATA)
        if given.startswith("@"):
            with open(given[1:], "rb") as file:
                return file.read(MAX_DATA)
    except OSError as error:
        raise common.CommandError(f"{given[1:] or given} cannot be read: {error.strerror}.", 2) from None
    return given.encode()


def _many(publisher: Publisher, max_event_bytes: int) -> int:
    # In JSON text one byte of data may take up to six (\u0000).
    lines = LineSplitter(max_event_bytes * 6 + 4096)
    feed = LineFeed(publisher, _refused)
    shown = _Count(feed)
    try:
        while data := os.read(sys.stdin.fileno(), READ_BYTES):
            for line in lines.feed(data):
                feed.take(line)
                shown.show()
            feed.flush()
        for line in lines.rest():
            feed.take(line)
        feed.flush()
    except PublisherError as error:
        shown.clear()
        raise common.CommandError(
            f"{for_users(error)} {_count(feed.sent, 'event')} published so far; send the lines from "
            f"{feed.first_waiting} on again (those of the last batch may be in already)."
        ) from None
    shown.clear()
    print(f"{_count(feed.sent, 'event')} published, {_count(feed.refused, 'line')} refused.", file=sys.stderr)
    return 1 if feed.refused else 0


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _refused(number: int, sentence: str) -> None:
    clear = "\r\x1b[K" if sys.stderr.isatty() else ""
    print(f"{clear}line {number}: {sentence}", file=sys.stderr)


class _Count:
    """How many events are out, on a terminal only."""

    def __init__(self, feed: LineFeed) -> None:
        self._feed = feed
        self._on = sys.stderr.isatty()
        self._next = 0.0

    def show(self) -> None:
        if self._on and time.monotonic() >= self._next:
            self._next = time.monotonic() + SHOW_S
            print(f"\r{_count(self._feed.sent, 'event')} published", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self._on:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

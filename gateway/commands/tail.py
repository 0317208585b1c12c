"""``tail``: follows a stream in the terminal."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
from typing import Any
from urllib.parse import quote

from gateway.commands import common
from gateway.follow import Follower, FollowError, Note
from gateway.progress_line import printable, progress_line
from gateway.sse_reader import StreamEvent
from publisher.channels import check_channel, job_id_of

NAME = "tail"
SUMMARY = "follow a stream in the terminal"
DESCRIPTION = """\
Follow a stream through a node and print its events, one per line: the type, then the data. A broken connection is
resumed where it broke off. Ends with the stream: when its job has ended. On a terminal a job shows as a bar."""
EXAMPLES = """\
  sse-gateway tail job:42
  sse-gateway tail broadcast --gateway https://events.example.com --token "$TOKEN"
  sse-gateway tail 'http://127.0.0.1:8000/v1/events?channel=topic:prices' --json"""

_JOB_STREAM = re.compile(r"/v1/jobs/[^/?]+/events(?:\?|$)")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stream", metavar="URL-or-CHANNEL", help="an http(s) URL, or a channel such as job:42")
    parser.add_argument(
        "--gateway",
        metavar="URL",
        default="http://127.0.0.1:8000",
        help="the node to ask for a channel (default: %(default)s)",
    )
    parser.add_argument(
        "--token",
        default=os.environ.get("SSE_GATEWAY_TOKEN", ""),
        help="sent as Authorization: Bearer (default: SSE_GATEWAY_TOKEN of the environment)",
    )
    parser.add_argument("--last-event-id", metavar="ID", default="", help="begin after the event with this id")
    parser.add_argument("--json", action="store_true", help='print {"type", "id", "data"} per line')


def run(given: argparse.Namespace) -> int:
    try:
        url = stream_url(given.stream, given.gateway)
        follower = Follower(url, token=given.token, last_event_id=given.last_event_id)
        screen = _Screen(as_json=given.json, bar=bool(_JOB_STREAM.search(url)))
        try:
            for item in follower:
                screen.show(item)
        finally:
            screen.close()
    except (FollowError, ValueError) as error:
        raise common.CommandError(str(error)) from None
    return 0


def stream_url(stream: str, gateway: str) -> str:
    """The URL of a channel at a node; a URL stays as it is. Raises ``ValueError`` where it is neither."""
    if "://" in stream:
        return stream
    channel = check_channel(stream)
    job_id = job_id_of(channel)
    base = gateway.rstrip("/")
    if job_id is not None:
        return f"{base}/v1/jobs/{quote(job_id, safe='')}/events"
    return f"{base}/v1/events?channel={quote(channel, safe=':')}"


class _Screen:
    """Events as lines on stdout, notes on stderr, and on a terminal a job's state as one line that changes."""

    def __init__(self, *, as_json: bool, bar: bool) -> None:
        self._json = as_json
        self._bar = bar and not as_json and sys.stdout.isatty()
        self._shown = False
        self._job: dict[str, Any] = {}

    def show(self, item: StreamEvent | Note) -> None:
        if isinstance(item, Note):
            self._clear()
            print(printable(item.sentence), file=sys.stderr)
        elif self._bar and self._is_state(item):
            self._draw()
        elif not (self._bar and item.type.startswith("stream.")):
            self._clear()
            print(self._line(item))
        sys.stdout.flush()

    def close(self) -> None:
        if self._shown:
            print(flush=True)

    def _line(self, event: StreamEvent) -> str:
        if self._json:
            return json.dumps({"type": event.type, "id": event.id, "data": _data(event)}, ensure_ascii=True)
        return printable(f"{event.type} {event.data}")

    def _is_state(self, event: StreamEvent) -> bool:
        data = _data(event)
        if not event.type.startswith("job.") or event.type == "job.item" or not isinstance(data, dict):
            return False
        self._job.update(data)
        return True

    def _draw(self) -> None:
        columns = shutil.get_terminal_size().columns
        print(f"\r\x1b[K{progress_line(self._job, columns)}", end="")
        self._shown = True

    def _clear(self) -> None:
        if self._shown:
            print("\r\x1b[K", end="", flush=True)
            self._shown = False


def _data(event: StreamEvent) -> Any:
    try:
        return json.loads(event.data)
    except (ValueError, RecursionError):
        return event.data

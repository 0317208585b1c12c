"""``tail``: follows a stream in the terminal."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from gateway.commands import common
from gateway.commands.progress_line import BLOCKS, PLAIN, printable, progress_line
from gateway.http_client.sse_reader import StreamEvent
from gateway.settings import values
from publisher.channels import check_channel, job_id_of

if TYPE_CHECKING:
    from gateway.http_client.follow import Note

NAME = "tail"
SUMMARY = "follow streams in the terminal"
DESCRIPTION = """\
Follow a stream through a node and print its events, one per line: the type, then the data. A broken connection is
resumed where it broke off. Ends with the stream: when its job has ended, with the job's result, or with exit code 1
if it failed or was cancelled. On a terminal a job shows as a bar."""
EXAMPLES = """\
  sse-gateway tail job:42
  sse-gateway tail topic:prices topic:news -n 20
  sse-gateway tail broadcast --gateway https://events.example.com --token "$TOKEN"
  sse-gateway tail 'http://127.0.0.1:8000/v1/events?channel=topic:prices' --json"""
OPTIONS: Final = ("--gateway", "--token", "--json")

MAX_CHANNELS: Final = 32
MAX_LAST: Final = 1000
_JOB_STREAM = re.compile(r"/v1/jobs/[^/?]+/events(?:\?|$)")
_FAILED: Final = frozenset({"failed", "cancelled"})
_QUIET: Final = frozenset({"stream.open", "stream.close", "stream.heartbeat"})
"""What says nothing that a reader of lines needs."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "streams", metavar="URL-or-CHANNEL", nargs="+", help="an http(s) URL, or up to 32 channels such as job:42"
    )
    parser.add_argument("--last-event-id", metavar="ID", default="", help="begin after the event with this id")
    parser.add_argument(
        "-n",
        "--last",
        metavar="N",
        type=common.argument(values.integer(1, MAX_LAST)),
        help="begin with the last N events of each channel's history, as far as it is kept",
    )


def run(given: argparse.Namespace) -> int:
    from gateway.http_client.follow import Follower, FollowError  # the HTTP client is for those who need it

    try:
        url = stream_url(given.streams, given.gateway)
    except ValueError as error:
        raise common.CommandError(str(error), 2) from None
    if given.last and given.last_event_id:
        raise common.CommandError("Either --last or --last-event-id says where to begin.", 2)
    if given.last:
        url += f"{'&' if '?' in url else '?'}last={given.last}"
    screen = Screen(as_json=given.json, job=bool(_JOB_STREAM.search(url)))
    try:
        try:
            for item in Follower(url, token=given.token, last_event_id=given.last_event_id):
                screen.show(item)
        finally:
            screen.close()
    except (FollowError, ValueError) as error:
        raise common.CommandError(str(error)) from None
    return 1 if screen.status in _FAILED else 0


def stream_url(streams: Sequence[str], gateway: str) -> str:
    """The URL of channels at a node; a URL stays as it is. Raises ``ValueError`` where it is neither."""
    if any("://" in stream for stream in streams):
        if len(streams) > 1:
            raise ValueError("A URL is followed alone; several channels are given by their names.")
        return streams[0]
    if len(streams) > MAX_CHANNELS:
        raise ValueError(f"A stream has at most {MAX_CHANNELS} channels.")
    channels = [_channel(stream) for stream in streams]
    job_id = job_id_of(channels[0]) if len(channels) == 1 else None
    base = gateway.rstrip("/")
    if job_id is not None:
        return f"{base}/v1/jobs/{quote(job_id, safe='')}/events"
    return f"{base}/v1/events?" + "&".join("channel=" + quote(channel, safe=":") for channel in channels)


def _channel(text: str) -> str:
    try:
        return check_channel(text)
    except ValueError:
        if "/" in text and ":" in text:
            raise ValueError(
                f"{printable(text)} is no channel; if it is an address, write http:// before it."
            ) from None
        raise


class Screen:
    """Events as lines on stdout, notes on stderr, and on a terminal a job's state as one line that changes."""

    def __init__(self, *, as_json: bool, job: bool) -> None:
        """``job``: it is the stream of one job, whose state can be kept."""
        self._json = as_json
        self._is_job = job
        self._bar = job and not as_json and sys.stdout.isatty()
        self._shown = False
        self._job: dict[str, Any] = {}

    def show(self, item: StreamEvent | Note) -> None:
        if not isinstance(item, StreamEvent):
            self._clear()
            print(printable(item.sentence), file=sys.stderr)
        elif self._is_job and self._is_state(item) and self._bar:
            self._draw()
        elif self._json or item.type not in _QUIET:
            self._clear()
            print(self._line(item))
        sys.stdout.flush()

    def close(self) -> None:
        """On a terminal a job's result stands below its bar; elsewhere it is in the last event."""
        if self._shown:
            print()
            if self._job.get("result") is not None:
                print(printable(json.dumps(self._job["result"], ensure_ascii=False)))
            sys.stdout.flush()

    @property
    def status(self) -> str:
        """That of the job as far as it is known."""
        return str(self._job.get("status") or "")

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
        marks = BLOCKS if common.can_show(BLOCKS) else PLAIN
        print(f"\r\x1b[K{progress_line(self._job, columns, marks)}", end="")
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

"""``bench``: a load test of a running node."""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gateway.commands import common
from gateway.commands.progress_line import printable
from gateway.settings.settings import Settings, values

if TYPE_CHECKING:
    from gateway.bench.choices import Choices

NAME = "bench"
SUMMARY = "load test of a running node"
DESCRIPTION = """\
Open many streams on a running node, publish events at a steady pace, and measure how they arrive: latency, deliveries
per second, the node's memory and CPU time, and whether every stream got every event once and in order."""
EXAMPLES = """\
  sse-gateway bench --connections 1000 --rate 30 --seconds 20
  sse-gateway bench --connections 2000 --channels 2000 --rate 500 --json result.json
  sse-gateway bench --url http://127.0.0.1:8001 --url http://127.0.0.1:8002 --connections 5000 --ramp 400"""
NOTES = """\
The streams are opened first, then the events are published: with the real publisher into Redis, or with
`--publish-url` through a node's `POST /v1/events`. They go to channels of their own (`topic:bench-…`), which are
removed at the end. Each stream listens to one channel: with `--channels 1` every event goes to all streams, with
more each goes to its share of them. A stream that ends is opened again with its `Last-Event-ID`, after the pause
that the node has asked for, so that a load test may run through a deployment.

A user may hold 20 streams, and `topic:` channels want a token: with the nodes' `GATEWAY_JWT_KEY` in its environment
`bench` makes tokens for one user per ten streams; else give `--token` or `--ticket`, or let the node read
anonymously.

Latency is the time from the call of the publisher to the load client, on one clock. The load client measures its
own CPU time and lateness, and says so when it was the limit. `bytes_per_connection`, `cpu_us_per_delivery` and
`cpu_share` of a node come from its `/metrics` (`GATEWAY_METRICS_TOKEN` is sent where set). The CPU per delivery is
shown from 20,000 deliveries on: below, it would mostly be what a node spends anyway. Ctrl-C ends a load test
early with the figures so far.

The exit code is 0 if every event reached every open stream once and in order, 130 after Ctrl-C, else 1.
[Size a node](../howto/size-a-node.md) shows what the figures are good for."""

STREAMS_PER_USER: Final = 10
SPARE_S: Final = 900
"""Tokens live longer than the load test by this."""

OPTIONS: Final = ("--token",)


def arguments(parser: argparse.ArgumentParser) -> None:
    from_setting = common.argument
    parser.add_argument(
        "--url",
        metavar="URL",
        action="append",
        type=from_setting(values.web_url),
        help="a node's address; may be repeated, streams take turns (default: http://127.0.0.1:8000)",
    )
    parser.add_argument("--ticket", default="", help="sent as ?ticket= instead; must be for the topic:bench-… channels")
    numbers: list[tuple[str, str, Callable[[str], Any], Any, str]] = [
        ("--connections", "N", from_setting(values.integer(1, 200_000)), 100, "streams"),
        ("--rate", "N", _number(0.01, 100_000), 10.0, "events per second, over all channels"),
        ("--payload-bytes", "N", from_setting(values.integer(64, 262_144)), 200, "JSON of one event"),
        ("--seconds", "S", from_setting(values.seconds(0.1, 3600)), 10.0, "how long to publish"),
        (
            "--channels",
            "N",
            from_setting(values.integer(1, 100_000)),
            1,
            "channels the streams are spread over",
        ),
        ("--ramp", "N", _number(1, 100_000), 200.0, "streams opened per second"),
    ]
    for name, metavar, kind, default, text in numbers:
        shown = f"{text} (default: {default:g})"
        parser.add_argument(name, metavar=metavar, type=kind, default=default, help=shown)
    parser.add_argument(
        "--publish-url",
        metavar="URL",
        type=from_setting(values.web_url),
        help="publish through POST /v1/events of this node instead of into Redis; needs a token with scope publish",
    )
    parser.add_argument(
        "--json", metavar="FILE", dest="figures", default="", help="write all figures here; - prints them instead"
    )
    parser.add_argument(
        "--remote", action="store_true", help="confirm that hosts other than this machine may be loaded"
    )


def _number(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,9}(?:\.[0-9]{1,6})?", text) or not low <= float(text) <= high:
            raise argparse.ArgumentTypeError(f"must be a number from {low:g} to {high:g}")
        return float(text)

    return parse


def run(given: argparse.Namespace) -> int:
    from gateway.bench import remarks, text, trial
    from gateway.bench.target import NotAllowed, check_reachable

    settings = common.settings(given)
    try:
        choices = _choices(given, settings)
        _check_file(given.figures)
        for target in choices.targets:
            check_reachable(target)
        started = time.time()
        figures = {"started_at": int(started * 1000), **trial.run(choices)}
    except NotAllowed as error:
        raise common.CommandError(str(error)) from None
    figures["remarks"] = remarks.remarks(figures)
    figures["ok"] = remarks.ok(figures)
    written = json.dumps(figures, indent=2)
    if given.figures == "-":
        print(written)
    else:
        print("\n".join(printable(line) for line in text.report(figures, figures["remarks"]).splitlines()))
    if given.figures not in ("", "-"):
        _write(Path(given.figures), written)
    return 130 if figures["interrupted"] else 0 if figures["ok"] else 1


def _choices(given: argparse.Namespace, settings: Settings) -> Choices:
    """Everything checked. Raises :class:`NotAllowed` and :class:`CommandError`."""
    from gateway.bench.choices import Choices
    from gateway.bench.limits import make_room
    from gateway.bench.target import check_broker, look_up
    from publisher.redis import address

    targets = tuple(look_up(url, remote=given.remote) for url in given.url or ["http://127.0.0.1:8000"])
    if given.publish_url:
        look_up(given.publish_url, remote=given.remote)
    else:
        check_broker(address.parse(settings.redis_url), remote=given.remote)
    if given.channels > given.connections:
        raise common.CommandError(
            f"--channels {given.channels} are more than --connections {given.connections}: nobody would hear some.", 2
        )
    if given.payload_bytes > settings.max_event_bytes:
        raise common.CommandError(
            f"--payload-bytes must be at most GATEWAY_MAX_EVENT_BYTES, {settings.max_event_bytes}.", 2
        )
    for name, value in (("--token", given.token), ("--ticket", given.ticket)):
        if not re.fullmatch(r"[!-~]*", value):
            raise common.CommandError(f"{name} holds characters that no token has; copy it again.", 2)
    make_room(given.connections, targets)
    name = secrets.token_hex(4)
    return Choices(
        targets=targets,
        run=name,
        connections=given.connections,
        rate=given.rate,
        payload_bytes=given.payload_bytes,
        seconds=given.seconds,
        channels=given.channels,
        ramp=given.ramp,
        tokens=_tokens(given, settings, name),
        ticket=given.ticket,
        redis_url=settings.redis_url,
        prefix=settings.redis_prefix,
        max_event_bytes=settings.max_event_bytes,
        publish_url=given.publish_url or "",
        publish_token=_publish_token(given, settings, name),
        metrics_token=settings.metrics_token,
    )


def _tokens(given: argparse.Namespace, settings: Settings, name: str) -> tuple[str, ...]:
    """The token that was given, or with the nodes' secret one for every few streams, or none."""
    from gateway.bench import numbers

    if given.token or given.ticket:
        return (given.token,) if given.token else ()
    if not _can_mint(settings):
        return ()
    users = -(-given.connections // STREAMS_PER_USER)
    names = [f"bench-{name}-{user}" for user in range(users)]
    return tuple(_mint(given, settings, user, [numbers.pattern(name)], "") for user in names)


def _publish_token(given: argparse.Namespace, settings: Settings, name: str) -> str:
    if given.token or not given.publish_url or not _can_mint(settings):
        return str(given.token)
    return _mint(given, settings, f"bench-{name}", [], "publish")


def _can_mint(settings: Settings) -> bool:
    return settings.token_key is not None and settings.jwt_algorithms[0] in values.SYMMETRIC


def _mint(given: argparse.Namespace, settings: Settings, subject: str, channels: list[str], scope: str) -> str:
    from gateway.auth.minting import mint_token

    lasts = math.ceil(given.connections / given.ramp + given.seconds) + SPARE_S
    return mint_token(settings, subject, scope=scope, channels=channels, ttl_s=lasts, now=time.time())


def _check_file(name: str) -> None:
    """Say before the load test, not after it, that its result cannot be written."""
    folder = Path(name).parent if name not in ("", "-") else None
    if folder is not None and (not folder.is_dir() or Path(name).is_dir() or not os.access(folder, os.W_OK)):
        raise common.CommandError(f"{name} cannot be written; name a file in a folder that exists.", 2)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text + "\n", "utf-8")
    except OSError as error:
        raise common.CommandError(f"{path} cannot be written: {error.strerror}.") from None
    print(f"All figures are in {path}.", file=sys.stderr)

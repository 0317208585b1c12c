"""``doctor``: looks at everything that a node needs, and says what to change."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from gateway import setting_values
from gateway.commands import common
from gateway.progress_line import printable

if TYPE_CHECKING:
    from gateway.doctor.finding import Finding

NAME = "doctor"
SUMMARY = "check Redis, this machine, the settings and a proxy, and say what to change"
DESCRIPTION = """\
Check what a node needs, with the settings of the environment: run it where the node runs. Prints a line per check,
and below it what to change. With --url it also watches a stream through everything that lies in between."""
EXAMPLES = """\
  sse-gateway doctor
  sse-gateway doctor --redis-url rediss://gateway:password@redis.internal:6379/0
  sse-gateway doctor --url https://events.example.com --token "$TOKEN" --wait 120"""
NOTES = """\
`✓` is fine, `!` works but will hurt some day, `✗` is broken or loses events, `?` could not be looked at (a managed
service that shows no CONFIG, for example). The exit code is 1 if there is a `✗`, else 0. It writes nothing that stays:
rights are tried out on keys of its own. `--json` prints `{"ok", "findings": [{"check", "level", "text", "remedy"}]}`
with the levels `ok`, `unknown`, `warning` and `problem`.
[Check a deployment](../howto/check-a-deployment.md) goes through what it finds."""

_MARKS = {"ok": "✓", "unknown": "?", "warning": "!", "problem": "✗"}
_PLAIN_MARKS = {"ok": "ok", "unknown": "?", "warning": "!", "problem": "X"}
"""For terminals that have no other letters."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--url",
        metavar="URL",
        type=common.argument(setting_values.web_url),
        help="the gateway's address as browsers see it, or the full address of a stream",
    )
    parser.add_argument(
        "--token",
        default=os.environ.get("SSE_GATEWAY_TOKEN", ""),
        help="for --url, sent as Authorization: Bearer (default: SSE_GATEWAY_TOKEN of the environment)",
    )
    parser.add_argument(
        "--wait",
        type=common.argument(setting_values.seconds(1, 7200)),
        metavar="SECONDS",
        help="how long to watch the stream of --url (default: two and a half heartbeats)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")


def run(given: argparse.Namespace) -> int:
    from gateway.doctor.examination import Stream, examine
    from gateway.doctor.finding import Level

    environ = {**os.environ, **({"GATEWAY_REDIS_URL": given.redis_url} if given.redis_url else {})}
    stream = Stream(given.url, given.token, given.wait) if given.url else None
    findings = examine(environ, stream)
    seen = _print_json(list(findings)) if given.json else _print_lines(findings)
    return 1 if any(finding.level is Level.PROBLEM for finding in seen) else 0


def _print_lines(findings: Iterable[Finding]) -> list[Finding]:
    """Each as soon as it is there."""
    marks = _MARKS if _can_show("".join(_MARKS.values())) else _PLAIN_MARKS
    seen: list[Finding] = []
    for finding in findings:
        seen.append(finding)
        _say(f"{marks[finding.level.value]} {finding.check}: {finding.text}")
        if finding.remedy:
            _say(f"    {finding.remedy}")
        sys.stdout.flush()
    return seen


def _say(line: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    print(printable(line).encode(encoding, "replace").decode(encoding))


def _can_show(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _print_json(findings: list[Finding]) -> list[Finding]:
    rows: list[dict[str, Any]] = [
        {"check": each.check, "level": each.level.value, "text": each.text, "remedy": each.remedy} for each in findings
    ]
    print(json.dumps({"ok": all(row["level"] != "problem" for row in rows), "findings": rows}, indent=2))
    return findings

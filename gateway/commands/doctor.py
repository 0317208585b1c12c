"""``doctor``: looks at everything that a node needs, and says what to change."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from gateway.commands import common
from gateway.commands.progress_line import printable
from gateway.settings import values

if TYPE_CHECKING:
    from gateway.doctor.finding import Finding

NAME = "doctor"
SUMMARY = "check Redis, this machine, the settings and a proxy, and say what to change"
DESCRIPTION = """\
Check what a node needs, with the settings of the environment: run it where the node runs. Prints a line per check,
and below it what to change. With --url it also watches a stream through everything that lies in between. With
--as worker it checks what a machine needs that only publishes, and what its user of Redis should not be allowed."""
EXAMPLES = """\
  sse-gateway doctor
  sse-gateway doctor --as worker --redis-url redis://worker:password@redis.internal:6379/0
  sse-gateway doctor --redis-url rediss://gateway:password@redis.internal:6379/0
  sse-gateway doctor --url https://events.example.com --token "$TOKEN" --wait 120"""
NOTES = """\
`✓` is fine, `!` works but will hurt some day, `✗` is broken or loses events, `?` could not be looked at (a managed
service that shows no CONFIG, for example). The exit code is 1 if there is a `✗`, else 0. It writes nothing that stays:
rights are tried out on keys of its own. `--json` prints `{"ok", "findings": [{"check", "level", "text", "remedy"}]}`
with the levels `ok`, `unknown`, `warning` and `problem`. As a worker it reads no setting but `GATEWAY_REDIS_URL` and
`GATEWAY_REDIS_PREFIX`, runs where only the publisher is installed, and leaves lines in the server's `ACL LOG`: it tries
what should be refused.
[Check a deployment](../howto/check-a-deployment.md) goes through what it finds."""

_MARKS = {"ok": "✓", "unknown": "?", "warning": "!", "problem": "✗"}
_PLAIN_MARKS = {"ok": "ok", "unknown": "?", "warning": "!", "problem": "X"}
"""For terminals that have no other letters."""

OPTIONS: Final = ("--token", "--json")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--as",
        dest="role",
        choices=("node", "worker"),
        default="node",
        help="whose user of Redis it is: `node`, or `worker` for those who only publish (default: node)",
    )
    parser.add_argument(
        "--url",
        metavar="URL",
        type=common.argument(values.web_url),
        help="the gateway's address as browsers see it, or the full address of a stream",
    )
    parser.add_argument(
        "--wait",
        type=common.argument(values.seconds(1, 7200)),
        metavar="SECONDS",
        help="how long to watch the stream of --url (default: two and a half heartbeats)",
    )


def run(given: argparse.Namespace) -> int:
    from gateway.doctor.finding import Level

    findings = _of_worker(given) if given.role == "worker" else _of_node(given)
    seen = _print_json(list(findings)) if given.json else _print_lines(findings)
    return 1 if any(finding.level is Level.PROBLEM for finding in seen) else 0


def _of_node(given: argparse.Namespace) -> Iterator[Finding]:
    from gateway.doctor.examination import SampleStream, examine

    return examine(_environ(given), SampleStream(given.url, given.token, given.wait) if given.url else None)


def _of_worker(given: argparse.Namespace) -> Iterator[Finding]:
    from gateway.doctor import publishing

    if given.url:
        raise common.CommandError("--url goes with --as node only: a worker serves no streams.", 2)
    return publishing.examine(_environ(given))


def _environ(given: argparse.Namespace) -> dict[str, str]:
    return {**os.environ, **({"GATEWAY_REDIS_URL": given.redis_url} if given.redis_url else {})}


def _print_lines(findings: Iterable[Finding]) -> list[Finding]:
    """Each as soon as it is there."""
    marks = _MARKS if common.can_show("".join(_MARKS.values())) else _PLAIN_MARKS
    seen: list[Finding] = []
    for finding in findings:
        seen.append(finding)
        print(printable(f"{marks[finding.level.value]} {finding.check}: {finding.text}"))
        if finding.remedy:
            print(printable(f"    {finding.remedy}"))
        sys.stdout.flush()
    return seen


def _print_json(findings: list[Finding]) -> list[Finding]:
    rows: list[dict[str, Any]] = [
        {"check": each.check, "level": each.level.value, "text": each.text, "remedy": each.remedy} for each in findings
    ]
    print(json.dumps({"ok": all(row["level"] != "problem" for row in rows), "findings": rows}, indent=2))
    return findings

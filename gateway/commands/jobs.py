"""``jobs``: the jobs of a token's subject, listed, shown, cancelled, held and let go on."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any, Final
from urllib.parse import quote

from gateway.commands import common
from gateway.commands.node_call import ask
from gateway.commands.progress_line import printable
from gateway.commands.table import table
from gateway.settings import values
from publisher.channels import check_job_id

NAME = "jobs"
SUMMARY = "list, show, cancel or pause jobs"
DESCRIPTION = """\
List the jobs of the token's subject, newest first, or show one, ask its worker to cancel it, to pause or to go on. The
worker learns it with its next report. A job of somebody else, and one that is not there, are answered alike: cancel
and pause want the owner's token, or one with the scope admin."""
EXAMPLES = """\
  sse-gateway jobs --token "$TOKEN"
  sse-gateway jobs show 42 --json
  sse-gateway jobs cancel 42 --gateway https://events.example.com"""
OPTIONS: Final = ("--gateway", "--token", "--json")

ACTIONS: Final = ("list", "show", "cancel", "pause", "resume")
_LISTED: Final = ("job_id", "kind", "status", "progress", "stage", "message")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action",
        metavar="ACTION",
        nargs="?",
        choices=ACTIONS,
        default="list",
        help="`list`, `show`, `cancel`, `pause` or `resume` (default: list)",
    )
    parser.add_argument("job", metavar="JOB", nargs="?", help="the job's id")
    parser.add_argument(
        "--limit",
        metavar="N",
        type=common.argument(values.integer(1, 200)),
        default=20,
        help="how many to list (default: %(default)s)",
    )


def run(given: argparse.Namespace) -> int:
    if given.action == "list":
        if given.job is not None:
            raise common.CommandError("jobs list takes no JOB; jobs show JOB shows one.", 2)
        return _list(given)
    if given.job is None:
        raise common.CommandError(f"jobs {given.action} needs the id of a JOB.", 2)
    try:
        path = f"/v1/jobs/{quote(check_job_id(given.job), safe='')}"
    except ValueError as error:
        raise common.CommandError(str(error), 2) from None
    if given.action == "show":
        return _show(given, ask(given, path))
    return _show(given, ask(given, f"{path}/{given.action}", method="POST"))


def _list(given: argparse.Namespace) -> int:
    found = ask(given, f"/v1/jobs?limit={given.limit}")
    if given.json:
        print(json.dumps(found))
        return 0
    rows = [[_cell(job.get(name)) for name in _LISTED] + [_age(job)] for job in found["jobs"]]
    if not rows:
        print("There are no jobs of this token's subject.")
        return 0
    print(table([*_LISTED, "age"], rows))
    if found["more"]:
        print(f"There are older ones; --limit shows up to 200 (now {given.limit}).")
    return 0


def _show(given: argparse.Namespace, job: dict[str, Any]) -> int:
    if given.json:
        print(json.dumps(job))
        return 0
    for name, value in job.items():
        if value not in (None, [], {}):
            print(printable(f"{name:<12} {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"))
    return 0


def _cell(value: Any) -> Any:
    return "" if value is None else value


def _age(job: dict[str, Any]) -> str:
    seconds = int(max(0, time.time() - (job.get("created_at") or 0) / 1000))
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"

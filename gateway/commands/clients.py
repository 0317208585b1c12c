"""``clients``: who is connected, over all nodes."""

from __future__ import annotations

import argparse
import json
from typing import Any, Final
from urllib.parse import quote

from gateway.commands import common
from gateway.commands.node_call import ask
from gateway.commands.table import table
from gateway.settings import values

NAME = "clients"
SUMMARY = "show who is connected"
DESCRIPTION = """\
Show the connected clients with their streams and the nodes that hold them. Needs a token with the scope stats."""
EXAMPLES = """\
  sse-gateway clients --token "$TOKEN"
  sse-gateway clients --limit 10000 --json"""
OPTIONS: Final = ("--gateway", "--token", "--json")
PAGE: Final = 1000


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--limit",
        metavar="N",
        type=common.argument(values.integer(1, 1_000_000)),
        default=100,
        help="how many to show (default: %(default)s)",
    )


def run(given: argparse.Namespace) -> int:
    found, more = _read(given)
    if given.json:
        print(json.dumps({"clients": found, "more": more}))
        return 0
    if not found:
        print("Nobody is connected.")
        return 0
    rows = [[each["client_id"], each["connections"], " ".join(each["nodes"])] for each in found]
    print(table(["client", "streams", "nodes"], rows))
    if more:
        print(f"There are more; --limit shows them (now {given.limit}).")
    return 0


def _read(given: argparse.Namespace) -> tuple[list[dict[str, Any]], bool]:
    """As many as wanted, page by page, and whether there are more."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        wanted = min(PAGE, given.limit - len(found))
        page = ask(given, f"/v1/clients?limit={wanted}" + (f"&cursor={quote(cursor, safe='')}" if cursor else ""))
        found += page["clients"]
        cursor = page["next"]
        if cursor is None or len(found) >= given.limit:
            return found[: given.limit], cursor is not None

"""``stats``: what all nodes say of themselves."""

from __future__ import annotations

import argparse
import json
import time
from typing import Final

from gateway.commands.node_call import ask
from gateway.commands.table import table

NAME = "stats"
SUMMARY = "show the nodes and what they serve"
DESCRIPTION = """\
Show every node of the cluster with its open streams and clients, and the totals. Needs a token with the scope stats."""
EXAMPLES = """\
  sse-gateway stats --token "$TOKEN"
  sse-gateway stats --json | jq .totals"""
OPTIONS: Final = ("--gateway", "--token", "--json")


def arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none of its own."""


def run(given: argparse.Namespace) -> int:
    found = ask(given, "/v1/stats")
    if given.json:
        print(json.dumps(found))
        return 0
    head = ["node", "version", "streams", "clients", "delivered", "up"]
    now_ms = time.time() * 1000
    rows = [
        [
            node["id"],
            node["version"],
            node["connections"],
            node["clients"],
            node["events_delivered"],
            f"{max(0, now_ms - node['started_at']) / 3_600_000:.1f} h" + (", draining" if node["draining"] else ""),
        ]
        for node in found["nodes"]
    ]
    print(table(head, rows))
    totals = found["totals"]
    print(
        f"{totals['connections']} streams of {totals['clients']} clients on {totals['channels']} channels, "
        f"{totals['events_delivered']} events delivered."
    )
    return 0

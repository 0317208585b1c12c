"""``disconnect``: sends a client away."""

from __future__ import annotations

import argparse
import json
from typing import Final
from urllib.parse import quote

from gateway.commands import common
from gateway.commands.node_call import ask
from publisher.channels import check_id

NAME = "disconnect"
SUMMARY = "end a client's streams on all nodes"
DESCRIPTION = """\
End every stream of a client on every node. With --revoke the tokens and tickets that its subject has now are refused
from now on; without it the client may come straight back. Needs a token with the scope admin."""
EXAMPLES = """\
  sse-gateway disconnect user-123 --token "$TOKEN"
  sse-gateway disconnect user-123 --revoke"""
OPTIONS: Final = ("--gateway", "--token", "--json")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("client", metavar="CLIENT", help="the client's id, which is its token's subject")
    parser.add_argument("--revoke", action="store_true", help="refuse the tokens and tickets that it has now")


def run(given: argparse.Namespace) -> int:
    try:
        path = f"/v1/clients/{quote(check_id(given.client, 'client'), safe='')}"
    except ValueError as error:
        raise common.CommandError(str(error), 2) from None
    found = ask(given, path + ("?revoke=true" if given.revoke else ""), method="DELETE")
    if given.json:
        print(json.dumps(found))
        return 0
    streams = found["disconnected"]
    ended = "1 stream" if streams == 1 else f"{streams} streams"
    print(f"{ended} ended." + (" Its tokens and tickets of before are refused." if found["revoked"] else ""))
    return 0

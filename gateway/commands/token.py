"""``token``: makes a token with the node's own shared secret."""

from __future__ import annotations

import argparse
import re
import time

from gateway.commands import common

NAME = "token"
SUMMARY = "print a token (JWT) made with the configured shared secret"
DESCRIPTION = """\
Print a token that nodes with the same GATEWAY_JWT_KEY accept. Needs HS256, HS384 or HS512: tokens of public-key
algorithms come from whoever has the private key."""
EXAMPLES = """\
  sse-gateway token --sub user-123
  sse-gateway token --sub backend --scope "publish stats" --ttl 86400
  sse-gateway token --sub dashboard --channels 'job:*' 'topic:*'"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sub", required=True, metavar="USER", help="whom the token is for")
    parser.add_argument("--scope", default="", metavar="SCOPES", help='rights, such as "publish stats admin"')
    parser.add_argument(
        "--channels",
        nargs="+",
        default=[],
        metavar="CHANNEL",
        help="further channels that it may read; * at the end matches any rest",
    )
    parser.add_argument(
        "--ttl", type=_seconds, default=3600, metavar="SECONDS", help="how long it is valid (default: %(default)s)"
    )


def _seconds(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise argparse.ArgumentTypeError("must be a whole number of seconds")
    return int(text)


def run(given: argparse.Namespace) -> int:
    settings = common.settings(given)
    from gateway.minting import mint_token

    try:
        token = mint_token(
            settings, given.sub, scope=given.scope, channels=given.channels, ttl_s=given.ttl, now=time.time()
        )
    except ValueError as error:
        raise common.CommandError(str(error)) from None
    print(token)
    return 0

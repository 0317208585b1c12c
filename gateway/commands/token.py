"""``token``: makes a token with the node's own shared secret."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from gateway.commands import common
from gateway.commands.progress_line import printable
from gateway.settings.settings import Settings, SettingsError

if TYPE_CHECKING:
    from gateway.auth.principal import Principal

MAX_STDIN: Final = 65_536

NAME = "token"
SUMMARY = "print a token (JWT) made with the configured shared secret, or check one"
DESCRIPTION = """\
Print a token that nodes with the same GATEWAY_JWT_KEY accept. Needs HS256, HS384 or HS512: tokens of public-key
algorithms come from whoever has the private key. With --check say what a node with these settings makes of a token,
whatever its algorithm; whether its subject was sent away is known to the nodes alone."""
EXAMPLES = """\
  sse-gateway token --sub user-123
  sse-gateway token --sub backend --scope "publish stats" --ttl 86400
  sse-gateway token --sub dashboard --channels 'job:*' 'topic:*'
  sse-gateway token --sub backend --mercure-publish 'https://example.com/books/{id}'
  sse-gateway token --check - < token.txt"""
OPTIONS: Final = ("--json",)


def arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--sub", metavar="USER", help="whom the token is for")
    what.add_argument("--check", metavar="TOKEN", help="say whether this one is good; - reads it from stdin")
    parser.add_argument("--scope", default="", metavar="SCOPES", help='rights, such as "publish stats admin"')
    parser.add_argument(
        "--channels",
        nargs="+",
        default=[],
        metavar="CHANNEL",
        help="further channels that it may read; * at the end matches any rest",
    )
    for right in ("publish", "subscribe"):
        parser.add_argument(
            f"--mercure-{right}",
            nargs="+",
            default=[],
            metavar="SELECTOR",
            help=f"topics that it may {right} on a Mercure hub without keys of its own; * for all",
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
    try:
        settings.check_secret()
    except SettingsError as error:
        raise common.CommandError(str(error)) from None
    if given.check is not None:
        return _check(given, settings)
    from gateway.auth.minting import mint_token

    now = time.time()
    try:
        token = mint_token(
            settings,
            given.sub,
            scope=given.scope,
            channels=given.channels,
            mercure=_selectors(given),
            ttl_s=given.ttl,
            now=now,
        )
    except SettingsError as error:
        raise common.CommandError(str(error)) from None
    except ValueError as error:
        raise common.CommandError(str(error), 2) from None
    print(json.dumps({"token": token, "expires_at": int(now) + given.ttl}) if given.json else token)
    return 0


def _selectors(given: argparse.Namespace) -> dict[str, list[str]]:
    named = {"publish": given.mercure_publish, "subscribe": given.mercure_subscribe}
    return {right: selectors for right, selectors in named.items() if selectors}


def _check(given: argparse.Namespace, settings: Settings) -> int:
    from gateway.auth.errors import AuthError, AuthUnavailable
    from gateway.auth.token_verifier import TokenVerifier

    async def verified(token: str) -> Principal:
        verifier = TokenVerifier(settings)
        try:
            return await verifier.verify(token)
        finally:
            await verifier.aclose()

    text = sys.stdin.read(MAX_STDIN).strip() if given.check == "-" else given.check
    try:
        bearer = asyncio.run(verified(text))
    except (AuthError, AuthUnavailable) as error:
        raise common.CommandError(f"A node refuses this token: {error}") from None
    found: dict[str, Any] = {
        "sub": bearer.subject,
        "scope": " ".join(sorted(bearer.scopes)),
        "channels": list(bearer.channels),
        "expires_at": bearer.expires_at,
    }
    if given.json:
        print(json.dumps(found))
        return 0
    print(f"A node accepts this token of {printable(str(bearer.subject))}.")
    print(f"scopes    {found['scope'] or 'none'}")
    print(f"channels  {printable(' '.join(['its own', *bearer.channels]))}")
    print("expires   " + ("never" if bearer.expires_at is None else f"in {int(bearer.expires_at - time.time())} s"))
    return 0

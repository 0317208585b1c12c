"""``ticket-key``: changes the secret in Redis that signs tickets, or tells how it stands."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Final

from gateway.commands import common
from gateway.settings.settings import Settings

if TYPE_CHECKING:
    from publisher.redis.connect import Blocking

NAME = "ticket-key"
SUMMARY = "change the secret in Redis that signs tickets, or show how it stands"
DESCRIPTION = """\
Change the secret that nodes share in Redis and sign tickets with, or show how it stands. No secret is ever printed,
only a fingerprint by which two can be told apart. Nodes with GATEWAY_TICKET_KEY do not use it."""
EXAMPLES = """\
  sse-gateway ticket-key show
  sse-gateway ticket-key rotate
  sse-gateway ticket-key rotate --now"""
OPTIONS: Final = ("--json",)
NOTES = """\
`rotate` loses no ticket: those of the old secret stay good for the 15 minutes that any ticket lasts. Until then a
second rotation is refused. `--now` is for a secret that others may know: no older ticket is accepted any more, and
pages get new ones. Running nodes notice within a second. [Rotate keys](../howto/rotate-keys.md) has the whole way."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("show", "rotate"), metavar="ACTION", help="`show` or `rotate`")
    parser.add_argument("--now", action="store_true", help="with rotate: refuse all tickets made before, at once")


def run(given: argparse.Namespace) -> int:
    if given.now and given.action != "rotate":
        raise common.CommandError("--now goes with rotate only.", 2)
    settings = common.settings(given)
    if settings.ticket_key:
        raise common.CommandError(
            "GATEWAY_TICKET_KEY is set, and nodes with it do not use the secret in Redis; change it with "
            "GATEWAY_TICKET_KEY_OTHER, as docs/howto/rotate-keys.md says."
        )
    from gateway.commands import redis_trouble
    from publisher.redis import connect
    from publisher.redis.errors import ERRORS

    try:
        client = connect.blocking(settings.redis_url)
        try:
            if given.action == "rotate":
                _rotate(client, settings, now=given.now)
            _show(client, settings, as_json=given.json)
        finally:
            client.close()
    except ERRORS as error:
        again = " Look with ticket-key show whether it happened." if given.action == "rotate" else ""
        raise common.CommandError(redis_trouble.sentence(error, settings.redis_url) + again) from None
    return 0


def _rotate(client: Blocking, settings: Settings, *, now: bool) -> None:
    from gateway.auth import ticket_rotation

    kept_s = 0 if now else ticket_rotation.keep_s(settings.jwt_leeway_s)
    if not ticket_rotation.rotate(client, settings.redis_prefix, kept_s):
        left_s = ticket_rotation.standing(client, settings.redis_prefix).old_s
        raise common.CommandError(
            f"The secret was changed a short time ago: tickets of the one before are good for another {left_s:.0f} s. "
            "Wait for that, or refuse all older tickets with --now."
        )


def _show(client: Blocking, settings: Settings, *, as_json: bool) -> None:
    from gateway.auth import ticket_rotation

    stands = ticket_rotation.standing(client, settings.redis_prefix)
    if as_json:
        print(json.dumps({"present": stands.present, "old": stands.old, "old_s": stands.old_s}))
        return
    if not stands.present:
        print("There is no secret yet; the first node that needs one makes it.")
    else:
        print(f"Tickets are signed with the secret {stands.present}.")
    if stands.old:
        print(f"Tickets of the secret {stands.old} are accepted for another {stands.old_s:.0f} s.")

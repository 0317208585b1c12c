"""One call of a node's HTTP API for a command: what it answers, or one sentence on why there is none."""

from __future__ import annotations

import argparse
import json
from http import HTTPStatus
from typing import Any, Final

from gateway.commands.common import CommandError

TIMEOUT_S: Final = 30.0
MAX_BYTES: Final = 16 * 1024 * 1024


def ask(given: argparse.Namespace, path: str, *, method: str = "GET") -> Any:
    """The JSON that the node of ``--gateway`` answers to ``--token``. Raises :class:`CommandError`."""
    from gateway.http_client.blocking import blocking  # the HTTP client is for those who need it
    from gateway.http_client.client import CallError, CannotBeSent
    from gateway.http_client.place import place, refused, unreachable

    url = given.gateway.rstrip("/") + path
    headers: dict[str, str | bytes] = {"Accept": "application/json"}
    if given.token:
        headers["Authorization"] = f"Bearer {given.token}"
    try:
        with blocking() as (client, runner):
            reply = runner.run(
                client.call(url, method=method, headers=headers, timeout_s=TIMEOUT_S, max_bytes=MAX_BYTES)
            )
    except CannotBeSent:
        raise CommandError("The address or the token holds characters that cannot be sent.", 2) from None
    except CallError as error:
        raise CommandError(unreachable(url, error)) from None
    try:
        body = json.loads(reply.body)
    except (ValueError, RecursionError):
        body = None
    if reply.status >= HTTPStatus.BAD_REQUEST:
        raise CommandError(refused(url, reply.status, _sentence(reply.status, body)))
    if body is None:
        raise CommandError(f"{place(url)} answers no JSON; is it a node? Name one with --gateway.")
    return body


def _sentence(status: int, body: Any) -> str:
    try:
        return str(body["error"]["message"])
    except (LookupError, TypeError):
        known = {each.value: each.phrase for each in HTTPStatus}
        return f"{known.get(status, 'no reason given')}. Is it a node? Name one with --gateway."

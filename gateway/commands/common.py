"""What the commands share: errors that a user can mend, options that may stand before or after the command's name,
and settings from options and environment."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.settings.settings import Settings, SettingsError, values


class CommandError(Exception):
    """Something the user can mend; the message is one sentence that says how."""

    def __init__(self, sentence: str, exit_code: int = 1) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


def argument(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """A parser of settings as one of arguments: its sentence reaches the user."""

    def convert(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


NODE_URL: Final = "http://127.0.0.1:8000"
SHARED: Final[Mapping[str, Mapping[str, Any]]] = {
    "--gateway": {
        "metavar": "URL",
        "type": argument(values.web_url),
        "default": NODE_URL,
        "help": f"the node to ask (default: {NODE_URL})",
    },
    "--token": {
        "metavar": "TOKEN",
        "default": os.environ.get("SSE_GATEWAY_TOKEN", ""),
        "help": "sent as Authorization: Bearer (default: SSE_GATEWAY_TOKEN of the environment)",
    },
    "--json": {"action": "store_true", "default": False, "help": "print JSON, for programs"},
    "--redis-url": {
        "metavar": "URL",
        "type": argument(values.redis_url),
        "default": None,
        "help": "broker instead of GATEWAY_REDIS_URL",
    },
}
"""Options that several commands take, by name: one meaning each."""


def shared_options(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add options of :data:`SHARED` to a command: those that it takes besides ``--redis-url``, which all take."""
    for name in (*names, "--redis-url"):
        # Left out here it stays as it was given before the command.
        parser.add_argument(name, **{**SHARED[name], "default": argparse.SUPPRESS})


def leading_options(parser: argparse.ArgumentParser) -> None:
    """The same before the command, where they have their defaults. Its help leaves them to that of the commands."""
    for name, how in SHARED.items():
        parser.add_argument(name, **{**how, "help": argparse.SUPPRESS})


def can_show(text: str) -> bool:
    """Whether the terminal knows these characters."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def port(text: str) -> int:
    """The type of ``--port``."""
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > 65_535:
        raise argparse.ArgumentTypeError("must be a port from 1 to 65535, or 0 for a free one")
    return int(text)


def settings(given: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of the environment, with ``--redis-url`` before them. Raises :class:`CommandError`."""
    override = {"GATEWAY_REDIS_URL": given.redis_url} if given.redis_url else {}
    try:
        return Settings.from_env({**environ, **override})
    except SettingsError as error:
        raise CommandError(str(error)) from None

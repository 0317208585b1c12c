"""What the commands share: errors that a user can mend, and settings from options and environment."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from gateway import setting_values
from gateway.settings import Settings, SettingsError


class CommandError(Exception):
    """Something the user can mend; the message is one sentence that says how."""

    def __init__(self, sentence: str, exit_code: int = 1) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


def redis_argument(parser: argparse.ArgumentParser) -> None:
    """Every command takes it; it counts before ``GATEWAY_REDIS_URL``."""
    parser.add_argument(
        "--redis-url",
        metavar="URL",
        type=argument(setting_values.redis_url),
        help="broker instead of GATEWAY_REDIS_URL",
    )


def argument(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """A parser of settings as one of arguments: its sentence reaches the user."""

    def convert(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


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

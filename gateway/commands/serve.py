"""``serve``: one production node."""

from __future__ import annotations

import argparse

from gateway.commands import common
from gateway.settings import SettingsError

NAME = "serve"
SUMMARY = "run one production node"
DESCRIPTION = """\
Run one node until SIGTERM or SIGINT; then let its streams go over GATEWAY_DRAIN_S and exit with 0.
Everything but the address comes from GATEWAY_… settings; see docs/reference/settings.md."""
EXAMPLES = """\
  GATEWAY_JWT_KEY_FILE=/run/secrets/jwt sse-gateway serve --host 0.0.0.0
  GATEWAY_ANONYMOUS=read sse-gateway serve --port 8080 --redis-url redis://127.0.0.1:6379/0"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=common.port, default=8000, help="port to listen on, 0 for a free one (default: %(default)s)"
    )


def run(given: argparse.Namespace) -> int:
    settings = common.settings(given)
    try:
        settings.check_serving()
    except SettingsError as error:
        raise common.CommandError(str(error)) from None
    from gateway import serving

    try:
        sock = serving.bind(given.host, given.port)
    except serving.CannotBind as error:
        raise common.CommandError(str(error)) from None
    return serving.run(settings, sock)

"""``serve``: one production node."""

from __future__ import annotations

import argparse
import os
import re
from typing import Final

from gateway.commands import common
from gateway.settings.settings import Settings, SettingsError

NAME = "serve"
SUMMARY = "run a production node, or several on one port"
DESCRIPTION = """\
Run one node until SIGTERM or SIGINT; then let its streams go over GATEWAY_DRAIN_S and exit with 0.
Everything but the address comes from GATEWAY_… settings; see docs/reference/settings.md.
With --processes there are several nodes on the port, under a supervisor that starts again what ends; settings per node
count for each. SIGHUP replaces them one by one, with key files read anew: nothing is lost and nobody refused."""
EXAMPLES = """\
  GATEWAY_JWT_KEY_FILE=/run/secrets/jwt sse-gateway serve --host 0.0.0.0
  GATEWAY_ANONYMOUS=read sse-gateway serve --port 8080 --redis-url redis://127.0.0.1:6379/0
  sse-gateway serve --processes 4"""

MAX_PROCESSES: Final = 256


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=common.port, default=8000, help="port to listen on, 0 for a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--processes",
        metavar="N",
        type=_processes,
        default=1,
        help="so many nodes on the port, 0 for one per core that may be used (default: one, without a supervisor)",
    )


def _processes(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", text) or int(text) > MAX_PROCESSES:
        raise argparse.ArgumentTypeError(f"must be a number from 1 to {MAX_PROCESSES}, or 0 for one per core")
    return int(text)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return min(MAX_PROCESSES, len(os.sched_getaffinity(0)))
    return min(MAX_PROCESSES, os.cpu_count() or 1)


def run(given: argparse.Namespace) -> int:
    settings = _settings(given)
    if given.processes != 1:
        # On one core too: what is reloaded by SIGHUP on a larger machine must not die of it on a small one.
        return _run_several(given, settings, given.processes or _cores())
    from gateway import listening, serving

    try:
        sock = listening.bind(given.host, given.port)
    except listening.CannotBind as error:
        raise common.CommandError(str(error)) from None
    return serving.run(settings, sock)


def _settings(given: argparse.Namespace) -> Settings:
    settings = common.settings(given)
    try:
        settings.check_serving()
    except SettingsError as error:
        raise common.CommandError(str(error)) from None
    return settings


def _run_several(given: argparse.Namespace, settings: Settings, count: int) -> int:
    if os.name != "posix":
        raise common.CommandError("Several processes cannot share a port on this system; leave --processes away.")
    from gateway import listening
    from gateway.logs import output
    from gateway.processes import supervisor

    def problem() -> str | None:
        try:
            _settings(given)
        except common.CommandError as error:
            return str(error)
        return None

    output.configure(settings.log_format, settings.log_level)
    try:
        sockets = listening.shared(given.host, given.port, count)
    except listening.CannotBind as error:
        raise common.CommandError(str(error)) from None
    # In the environment, not in arguments: an address may hold a password, and everybody sees arguments.
    environ = {**os.environ, "GATEWAY_REDIS_URL": settings.redis_url}
    return supervisor.run(sockets, environ, drain_s=settings.drain_s, root=settings.root_path, check=problem)

"""The command line: ``sse-gateway COMMAND``. One module per command in ``gateway.commands``."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

from gateway.commands import bench, common, dev, doctor, publish, serve, tail, token
from gateway.version import version

COMMANDS: Final = (dev, serve, token, publish, tail, doctor, bench)
GATEWAY_PACKAGES: Final = ("starlette", "uvicorn", "httptools", "hiredis", "jwt", "cryptography", "prometheus_client")
INTERRUPTED: Final = 130


class Parser(argparse.ArgumentParser):
    """Answers bad arguments with one sentence instead of a page."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. See {self.prog} --help.\n")


def parser() -> Parser:
    """The parser of all commands."""
    top = Parser(
        prog="sse-gateway",
        description="Events from job workers and backends to browsers as Server-Sent Events.",
        epilog="sse-gateway COMMAND --help shows examples. Settings come from the environment (GATEWAY_…).",
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=version())
    commands = top.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    for module in COMMANDS:
        sub = commands.add_parser(
            module.NAME,
            help=module.SUMMARY,
            description=module.DESCRIPTION,
            epilog=f"examples:\n{module.EXAMPLES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        module.arguments(sub)
        common.redis_argument(sub)
        sub.set_defaults(run=module.run)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code. What the user can mend is told in one sentence on stderr."""
    given = parser().parse_args(arguments)
    try:
        code: int = given.run(given)
        sys.stdout.flush()
        return code
    except common.CommandError as error:
        return _say(str(error), error.exit_code)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe has gone (``| head``); Python would complain once more while it ends.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in GATEWAY_PACKAGES:
            raise
        return _say(f"The package {error.name} is missing; install the node: pip install 'sse-gateway[gateway]'.", 1)


def _say(sentence: str, code: int) -> int:
    print(f"sse-gateway: {sentence}", file=sys.stderr)
    return code

"""The command line: ``sse-gateway COMMAND``. One module per command in ``gateway.commands``."""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import os
import sys
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from gateway.commands import (
    bench,
    clients,
    common,
    completion,
    dev,
    disconnect,
    doctor,
    jobs,
    poll,
    publish,
    relay,
    serve,
    stats,
    tail,
    ticket_key,
    token,
)
from gateway.version import versions

COMMANDS: Final = (
    *(dev, serve, token, ticket_key, publish, tail, jobs, stats, clients, disconnect, poll, relay, doctor, bench),
    completion,
)
GATEWAY_PACKAGES: Final = (
    "starlette",
    "uvicorn",
    "httptools",
    "hiredis",
    "jwt",
    "cryptography",
    "prometheus_client",
    "httpx",
    "shtab",
)
INTERRUPTED: Final = 130
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


class Parser(argparse.ArgumentParser):
    """Answers bad arguments with one sentence instead of a page."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. See {self.prog} --help.\n")


class CommandParser(Parser):
    """The parser of one command: its options may stand anywhere among its other arguments."""

    _mixed = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        # The mixed way comes here again for each of its two parts; and it loses a -- that says what is no option.
        if self._mixed or "--" in (args or ()):
            return super().parse_known_args(args, namespace)
        self._mixed = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._mixed = False


class _Versions(argparse.Action):
    """Looks them up only when they are asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *rest: object) -> NoReturn:
        print("\n".join(versions()))
        sys.stdout.flush()
        parser.exit()


def parser() -> Parser:
    """The parser of all commands."""
    top = Parser(
        prog="sse-gateway",
        description="Events from job workers and backends to browsers as Server-Sent Events.",
        epilog="sse-gateway COMMAND --help shows examples. Settings come from the environment (GATEWAY_…).",
        allow_abbrev=False,
    )
    top.add_argument("--version", action=_Versions, nargs=0, help="print the versions of what runs here, and exit")
    common.leading_options(top)
    commands = top.add_subparsers(metavar="COMMAND", required=True, parser_class=CommandParser)
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
        common.shared_options(sub, *getattr(module, "OPTIONS", ()))
        sub.set_defaults(run=module.run, parser=top)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code. What the user can mend is told in one sentence on stderr."""
    for screen in (sys.stdout, sys.stderr):
        if isinstance(screen, io.TextIOWrapper):  # a terminal may not know every character
            screen.reconfigure(errors="backslashreplace")
    try:
        given = parser().parse_args(arguments)
        code: int = given.run(given)
        sys.stdout.flush()
        return code
    except common.CommandError as error:
        return _say(str(error), error.exit_code)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe has gone (``| head``)
        _silence()
        return 1
    except OSError as error:
        if error.errno not in FULL or error.filename is not None:
            raise
        _silence()
        return _say(f"The output cannot be written: {os.strerror(error.errno or 0)}.", 1)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in GATEWAY_PACKAGES:
            raise
        return _say(f"The package {error.name} is missing; install the node: pip install 'sse-gateway[gateway]'.", 1)


def _silence() -> None:
    """Python would complain of what it cannot write once more while it ends."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(sentence: str, code: int) -> int:
    print(f"sse-gateway: {sentence}", file=sys.stderr)
    return code

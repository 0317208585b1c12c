"""The reference page of the commands, made from their parsers: ``python -m gateway.reference commands``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from types import ModuleType

from gateway.cli import COMMANDS, parser

_HEAD = """\
# Commands

`sse-gateway COMMAND`, or `python -m gateway COMMAND` where the package's scripts are not on the path. Every command has
`--help`. Settings come from the environment ([settings](settings.md)); `--redis-url` counts before `GATEWAY_REDIS_URL`.

Exit codes: 0 when all went well (for `dev`, `serve`, `poll` and `relay` also after a signal), 2 for arguments without
sense, 130 for `publish`, `tail` and `bench` after Ctrl-C, 1 for anything else. What you can mend is told in one
sentence on stderr.

This page is generated: `python -m gateway.reference commands > docs/reference/commands.md`.
"""


def reference() -> str:
    """The page as Markdown, with a section per command."""
    (choices,) = (action.choices for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    return "\n".join([_HEAD, *(_section(module, choices[module.NAME]) for module in COMMANDS)])


def _section(module: ModuleType, command: argparse.ArgumentParser) -> str:
    rows = [f"| {name} | {meaning} |" for name, meaning in _rows(command)]
    table = "\n".join(["| argument | |", "|---|---|", *rows])
    examples = "\n".join(line.strip() for line in module.EXAMPLES.splitlines())
    notes = f"\n{module.NOTES}\n" if hasattr(module, "NOTES") else ""
    return f"## {module.NAME}\n\n{module.DESCRIPTION}\n\n{table}\n\n```sh\n{examples}\n```\n{notes}"


def _rows(command: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    for action in command._actions:
        if isinstance(action, argparse._HelpAction):
            continue
        metavar = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
        name = action.option_strings[0] if action.option_strings else metavar
        if action.option_strings and action.nargs != 0:
            name += f" {metavar}" + (" …" if action.nargs == "+" else "")
        meaning = (action.help or "") % {"default": f"`{action.default}`"}
        yield f"`{name}`", f"**required**: {meaning}" if action.required and action.option_strings else meaning

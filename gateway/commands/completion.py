"""``completion``: a script that completes commands and options in a shell."""

from __future__ import annotations

import argparse

NAME = "completion"
SUMMARY = "print a script that completes commands in your shell"
DESCRIPTION = """\
Print a script for a shell that completes this program's commands, options and their choices. It is made by shtab, and
asks nothing of this program when it runs."""
EXAMPLES = """\
  sse-gateway completion bash > ~/.local/share/bash-completion/completions/sse-gateway
  sse-gateway completion zsh > ~/.zfunc/_sse-gateway"""
SHELLS = ("bash", "zsh", "tcsh")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help="`bash`, `zsh` or `tcsh`")


def run(given: argparse.Namespace) -> int:
    import shtab

    print(shtab.complete(given.parser, shell=given.shell))
    return 0

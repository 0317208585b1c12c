"""``python -m tests.servers [--list] [NAME …] [PATH …]``, or ``make test-servers``.

Runs the tests of Redis and of clusters, or those that are named by a path, over each server that is found, or those
whose names begin so (``redis-7``); then says what became of each. Ends with 1 where a test failed.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tests.servers.found import FoundServer, servers

ROOT: Final = Path(__file__).parents[2]
SUITES: Final = ("tests/redis", "tests/cluster")


class SuiteOutcome(NamedTuple):
    """What pytest said at its end."""

    server: FoundServer
    code: int
    summary: str
    seconds: float


def run(server: FoundServer, options: Sequence[str]) -> SuiteOutcome:
    """The tests with this server before every other one."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sse-server-") as folder:
        # By this name the tests look for a server first.
        (Path(folder) / "valkey-server").symlink_to(server.binary)
        environ = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"}
        command = [sys.executable, "-m", "pytest", "-q", "-n", _workers(), "--dist", "loadgroup", *options]
        pytest = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True)
        assert pytest.stdout is not None
        last = ""
        for line in pytest.stdout:
            print(line, end="", flush=True)
            last = line if re.search(r"\d+ (passed|failed|error)", line) else last
        return SuiteOutcome(server, pytest.wait(), last.strip(" =\n"), time.monotonic() - began)


def _workers() -> str:
    return str(min(4, (os.cpu_count() or 1) + 1))


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.servers", description=__doc__)
    parser.add_argument("--list", action="store_true", help="say which there are, and run nothing")
    parser.add_argument("what", nargs="*", help="names of servers, paths of tests")
    given = parser.parse_args(arguments)
    names = tuple(word for word in given.what if not Path(ROOT, word.partition("::")[0]).exists())
    paths = [word for word in given.what if word not in names] or SUITES
    chosen = [server for server in servers() if not names or server.name.startswith(names)]
    if given.list or not chosen:
        print("\n".join(f"{server.name:<16} {server.binary}" for server in servers()))
        return 0 if given.list else 2
    outcomes = []
    for server in chosen:
        print(f"--- {server.name} ({server.binary})", flush=True)
        outcomes.append(run(server, paths))
    for outcome in outcomes:
        print(f"{outcome.server.name:<16} {outcome.seconds:6.0f} s  {outcome.summary}")
    return int(any(outcome.code for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
